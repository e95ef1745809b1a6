"""The command `tinygrad-gpt`. A subcommand is a dataclass of settings and a function that runs with them."""

import dataclasses
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from click.core import ParameterSource

from tensor.kernels import UnusableKernels
from tinygrad_gpt import __version__
from tinygrad_gpt.bench import BenchConfig, bench
from tinygrad_gpt.checkpoint import load_newest, load_state
from tinygrad_gpt.config import DEFAULT_PRESET, FIXED_BY_CHECKPOINT, TrainConfig, load_preset, preset_names, to_toml
from tinygrad_gpt.errors import TRACEBACK_VARIABLE, InputError, Interrupted, RunError
from tinygrad_gpt.eval import EvalConfig, evaluate
from tinygrad_gpt.exercises.commands import app as exercises
from tinygrad_gpt.explore.command import SUBJECTS, ExploreConfig, explore
from tinygrad_gpt.export import ExportConfig, export
from tinygrad_gpt.launch import RANK, launched
from tinygrad_gpt.options import describe, nearest, parse, plain_type
from tinygrad_gpt.paths import RUNS_DIR
from tinygrad_gpt.prepare import HELP as PREPARE_HELP
from tinygrad_gpt.prepare import PrepareConfig, prepare
from tinygrad_gpt.runs import BEST, LAST, free_dir, latest_run
from tinygrad_gpt.sample import SampleConfig, sample
from tinygrad_gpt.train import train

PROGRAM = "tinygrad-gpt"


class SettingsCommand(click.Command):
    """A subcommand with one `--name=VALUE` option for each field of a settings dataclass.

    `run` gets click's context, whose `params` are the values by name.
    """

    def __init__(self, name: str, settings: type, run: Callable[[click.Context], None], help: str, params=()):
        self.fields = dataclasses.fields(settings)
        options = [_option(field) for field in self.fields]
        callback = click.pass_context(lambda context, **values: run(context))
        super().__init__(name, params=[*params, *options], callback=callback, help=help)

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under the headings that the settings give them."""
        headings = {field.name: field.metadata["group"] for field in self.fields}
        sections: list[tuple[str, list]] = [("Options", [])]
        for option in self.get_params(context):
            if isinstance(option, click.Option):
                if heading := headings.get(option.name):
                    sections.append((heading, []))
                sections[-1][1].append(option.get_help_record(context))
        for heading, records in sections:
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class TrainCommand(SettingsCommand):
    """Takes a preset as well, whose settings are the options' defaults, in the run and in `--help`."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        given, _, _ = self.make_parser(context).parse_args(list(arguments))
        preset = given["preset"] if isinstance(given.get("preset"), str) else DEFAULT_PRESET
        context.default_map = {"out_dir": str(RUNS_DIR / Path(preset).stem)} | load_preset(preset)
        return super().parse_args(context, arguments)


class SettingType(click.ParamType):
    """A value of a settings dataclass, checked by the same rules and in the same words as in a TOML file."""

    def __init__(self, expected: Any):
        self.expected = expected
        self.name = "choice" if get_origin(expected) is Literal else expected.__name__

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join(get_args(self.expected)) or self.name.upper()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value  # a default, or from a preset: of its type already
        try:
            return parse(value, self.expected)
        except ValueError:
            name = f"--{param.name}" if param else "The value"
            sentence = f"{name} should be {describe(self.expected)}, got {value!r}."
            raise InputError(sentence) from None


def _option(field: dataclasses.Field) -> click.Option:
    setting, text = SettingType(plain_type(field.type)), field.metadata["help"]
    bare: dict[str, Any] = (
        {"is_flag": False, "flag_value": "True"} if setting.expected is bool else {}
    )  # --overwrite is enough
    return click.Option([f"--{field.name}"], type=setting, default=field.default, show_default=True, help=text, **bare)


def _given(context: click.Context) -> dict[str, Any]:
    """The options that stand on the command line itself."""
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def _train(context: click.Context) -> None:
    given = _given(context)
    values = dict(context.params)
    preset, print_only = values.pop("preset"), values.pop("print_config")
    named = given.keys() & values.keys()
    resume = values["init_from"] == "resume"
    if resume:
        values = _resumed_settings({name: given[name] for name in named}, preset)
    elif "out_dir" not in named and not values["overwrite"]:
        values["out_dir"] = str(free_dir(Path(values["out_dir"])))  # beside earlier runs, never over them
    config = TrainConfig(**values)
    if print_only:
        click.echo(to_toml(config), nl=False)
    else:
        train(replace(config, init_from="resume") if resume else config, named)


def _resumed_settings(given: dict[str, Any], preset: str | None) -> dict[str, Any]:
    """The settings of the run to continue, with those that stand on the command line in their place."""
    if preset is not None:
        raise InputError(f"A resumed run keeps its own settings: leave out {preset}, and pass --out_dir.")
    out_dir = Path(given["out_dir"]) if "out_dir" in given else latest_run()
    state, _ = load_newest([out_dir / LAST, out_dir / BEST], load_state)
    saved = asdict(TrainConfig(**state.config))
    for name in FIXED_BY_CHECKPOINT:
        if name in given and given[name] != saved[name]:
            sentence = f"--{name}={given[name]} cannot be changed: the run in {out_dir} has {saved[name]}."
            raise InputError(sentence)
    return saved | given | {"out_dir": str(out_dir), "init_from": saved["init_from"]}


def _prepare(context: click.Context) -> None:
    values = dict(context.params)
    prepare(values.pop("inputs"), PrepareConfig(**values))


def _sample(context: click.Context) -> None:
    sample(SampleConfig(**context.params))


def _eval(context: click.Context) -> None:
    values = dict(context.params)
    as_json = values.pop("json")
    evaluate(EvalConfig(**values), as_json)


def _bench(context: click.Context) -> None:
    values = dict(context.params)
    preset, as_json = values.pop("preset"), values.pop("json")
    bench(preset, BenchConfig(**values), as_json)


def _explore(context: click.Context) -> None:
    values = dict(context.params)
    explore(values.pop("subject"), ExploreConfig(**values))


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def app(context: click.Context) -> None:
    """Train a GPT on an autograd engine that you can read."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


app.add_command(
    TrainCommand(
        "train",
        TrainConfig,
        _train,
        f"""Train a GPT; without arguments, {DEFAULT_PRESET}.

        PRESET is one of {", ".join(preset_names())}, or a TOML file whose keys are the options below. Options
        override the preset.""",
        params=[
            click.Argument(["preset"], required=False, metavar="[PRESET|FILE.toml]"),
            click.Option(["--print_config"], is_flag=True, help="Print the settings as a FILE.toml and end."),
        ],
    )
)
app.add_command(
    SettingsCommand(
        "prepare",
        PrepareConfig,
        _prepare,
        PREPARE_HELP,
        params=[click.Argument(["inputs"], nargs=-1, required=True, metavar="INPUT...")],
    )
)
app.add_command(SettingsCommand("sample", SampleConfig, _sample, "Print text from a trained model."))
app.add_command(
    SettingsCommand(
        "eval",
        EvalConfig,
        _eval,
        "Measure how well a trained model predicts a text.",
        params=[click.Option(["--json"], is_flag=True, help="Print one JSON object.")],
    )
)
app.add_command(
    SettingsCommand(
        "bench",
        BenchConfig,
        _bench,
        f"""Time a training step, a sampled token or single operations, beside PyTorch on the same work.

        PRESET is one of {", ".join(preset_names())}, or a TOML file; without it, {DEFAULT_PRESET}.""",
        params=[
            click.Argument(["preset"], default=DEFAULT_PRESET, metavar="[PRESET|FILE.toml]"),
            click.Option(["--json"], is_flag=True, help="Print one JSON object."),
        ],
    )
)
app.add_command(
    SettingsCommand("export", ExportConfig, lambda c: export(ExportConfig(**c.params)), "Write a run for transformers.")
)
app.add_command(
    SettingsCommand(
        "explore",
        ExploreConfig,
        _explore,
        f"""See the backward pass, step by step, in the browser.

        SUBJECT is one of {", ".join(SUBJECTS)}; without it, attention, or gpt where a model is named.""",
        params=[click.Argument(["subject"], required=False, metavar="[SUBJECT]")],
    )
)
app.add_command(exercises)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 the run failed, 2 unusable input, 130 after Ctrl-C."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command; every error becomes one sentence on stderr and an exit code."""
    try:
        code = app.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.NoSuchOption as error:
        command = error.ctx.command if error.ctx else app
        options = [f"--{parameter.name}" for parameter in command.params]
        return _fail(f"There is no option {error.option_name}{nearest(error.option_name, options)}.", 2)
    except click.ClickException as error:
        return _fail(f"{error.format_message()} ({PROGRAM} --help explains.)", 2)
    except InputError as error:
        return _fail(str(error), 2)
    except UnusableKernels as error:
        return _fail(f"{error}.", 2)
    except RunError as error:
        return _fail(str(error), 1)
    except Interrupted as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail("Stopped; a run's last saved checkpoint is kept.", 130)
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.", 1)
    except MemoryError:
        return _fail("Out of memory: try a smaller --batch_size, --block_size or --n_embd.", 1)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        return _fail(
            f"Stopped by a mistake in the program itself ({type(error).__name__}: {error}); "
            f"with {TRACEBACK_VARIABLE}=1 in the environment it shows where.",
            1,
        )


def _fail(sentence: str, code: int) -> int:
    if launched(RANK, 0) > 0:  # rank 0 of the processes that fail together says it
        return code
    print(f"{PROGRAM}: {sentence}", file=sys.stderr)
    return code
