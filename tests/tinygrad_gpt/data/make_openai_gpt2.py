"""Makes the folder `openai-gpt2` beside this file: a tiny GPT-2 as OpenAI's code would save it. Run by hand, once.

    pip install tensorflow-cpu && python make_openai_gpt2.py

The committed files were written by TensorFlow 2.21.0, through the Saver that OpenAI's code used. A variable's elements
are its number in the order of the names, plus 0.001 times their own: test_tf_checkpoint.py knows the same rule.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

FOLDER = Path(__file__).with_name("openai-gpt2")
HPARAMS = {"n_vocab": 11, "n_ctx": 8, "n_embd": 4, "n_head": 2, "n_layer": 2}
E = HPARAMS["n_embd"]

shapes = {"wte": [11, E], "wpe": [8, E], "ln_f/g": [E], "ln_f/b": [E]}
for layer in range(HPARAMS["n_layer"]):
    for norm in ("ln_1", "ln_2"):
        shapes |= {f"h{layer}/{norm}/g": [E], f"h{layer}/{norm}/b": [E]}
    for name, n_in, n_out in (
        ("attn/c_attn", E, 3 * E),
        ("attn/c_proj", E, E),
        ("mlp/c_fc", E, 4 * E),
        ("mlp/c_proj", 4 * E, E),
    ):
        shapes |= {f"h{layer}/{name}/w": [1, n_in, n_out], f"h{layer}/{name}/b": [n_out]}

FOLDER.mkdir(exist_ok=True)
(FOLDER / "hparams.json").write_text(json.dumps(HPARAMS))
tf.disable_v2_behavior()
with tf.Session() as session:
    for number, (name, shape) in enumerate(sorted(shapes.items())):
        values = number + 0.001 * np.arange(np.prod(shape)).reshape(shape)
        with tf.variable_scope("model", reuse=tf.AUTO_REUSE):
            tf.get_variable(name, initializer=values.astype(np.float32))
    session.run(tf.global_variables_initializer())
    tf.train.Saver(save_relative_paths=True).save(session, f"{FOLDER}/model.ckpt", write_meta_graph=False)
