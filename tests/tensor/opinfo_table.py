"""Which of PyTorch's operators are held to PyTorch's own samples, and which are left out and why.

Names are those of `torch.testing._internal.common_methods_invocations.op_db`. Every operator there stands in exactly
one of COVERED and LEFT_OUT; `test_opinfo.py` sees to it. A name stands for all its variants (`div` has three: true,
floored, truncated) unless LEFT_OUT names one, as `norm|nuc`. No sample of a covered operator is left out.
"""

from __future__ import annotations

import operator

import nn.functional
import tensor

COVERED = {
    "element-wise": """
        abs acos acosh asin asinh atan atanh ceil clamp clamp_max clamp_min cos cosh deg2rad erf erfc exp exp2
        expm1 floor frac log log10 log1p log2 logit nan_to_num neg positive rad2deg reciprocal round rsqrt
        sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc""",
    "two operands": """
        add addcdiv addcmul atan2 copysign div float_power floor_divide fmax fmin fmod hypot ldexp lerp
        logaddexp logaddexp2 maximum minimum mul pow remainder rsub sub true_divide xlogy
        __radd__ __rdiv__ __rmod__ __rmul__ __rpow__ __rsub__ __rand__ __ror__ __rxor__ __rmatmul__""",
    "comparisons and logic": """
        allclose bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor eq equal ge gt
        isclose isfinite isin isinf isnan isneginf isposinf le logical_and logical_not logical_or logical_xor
        lt ne where""",
    "reductions and scans": """
        all amax amin aminmax any argmax argmin argsort count_nonzero cummax cummin cumprod cumsum diff dist kthvalue
        logcumsumexp logsumexp max mean median min msort nanmean nanmedian nansum norm
        prod quantile sort std std_mean sum topk var var_mean""",
    "shape": """
        H T atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors broadcast_to cartesian_prod cat chunk
        clone column_stack constant_pad_nd contiguous diag diag_embed diagflat diagonal dsplit dstack expand
        expand_as flatten flip fliplr flipud hsplit hstack mH mT meshgrid movedim narrow
        permute ravel repeat repeat_interleave reshape reshape_as roll rot90 select split split_with_sizes
        squeeze stack sum_to_size t tensor_split tile transpose tril triu unbind unflatten unfold
        unsqueeze view view_as vsplit vstack""",
    "indexing": """
        __getitem__ argwhere bincount bucketize diagonal_scatter gather index_add index_copy index_fill
        index_put index_select masked_fill masked_scatter masked_select nonzero scatter scatter_add
        scatter_reduce searchsorted select_scatter slice_scatter take take_along_dim tril_indices triu_indices
        unique""",
    "linear algebra": """
        addbmm addmm addmv addr baddbmm bmm dot einsum inner kron matmul mm mv outer
        tensordot trace vdot""",
    "creation and dtypes": """
        arange bernoulli bool byte char double empty empty_like exponential eye fill float full full_like half int
        item linspace logspace long multinomial new_empty new_full new_ones new_zeros normal ones ones_like
        rand_like randint randint_like randn randn_like scalar_tensor short to uniform zero_ zeros
        zeros_like""",
    "activations": """
        log_softmax softmax nn.functional.celu nn.functional.elu nn.functional.gelu nn.functional.glu
        nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh
        nn.functional.leaky_relu nn.functional.logsigmoid nn.functional.mish nn.functional.prelu nn.functional.relu
        nn.functional.relu6 nn.functional.selu nn.functional.silu nn.functional.softmin nn.functional.softplus
        nn.functional.softsign nn.functional.threshold""",
    "layers and losses": """
        nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits
        nn.functional.cosine_similarity nn.functional.cross_entropy nn.functional.dropout
        nn.functional.embedding nn.functional.huber_loss nn.functional.kl_div
        nn.functional.l1_loss nn.functional.layer_norm nn.functional.linear nn.functional.mse_loss
        nn.functional.nll_loss nn.functional.normalize nn.functional.one_hot nn.functional.pad
        nn.functional.rms_norm nn.functional.scaled_dot_product_attention nn.functional.smooth_l1_loss""",
}

# Reason -> names; `fft.*` stands for the family, `name|variant` for one variant of a covered operator.
LEFT_OUT = {
    "complex numbers: Tensors here are real": """
        angle cdouble cfloat chalf complex conj conj_physical fft.* imag isreal istft polar real resolve_conj
        resolve_neg stft view_as_complex view_as_real""",
    "convolution, pooling and images: a GPT has none": """
        _upsample_bilinear2d_aa grid_sampler_2d grid_sampler_3d max_pool2d_with_indices_backward
        nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d nn.functional.adaptive_avg_pool3d
        nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool2d nn.functional.adaptive_max_pool3d
        nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d nn.functional.channel_shuffle
        nn.functional.conv* nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d
        nn.functional.grid_sample nn.functional.interpolate nn.functional.max_pool1d nn.functional.max_pool2d
        nn.functional.max_pool3d nn.functional.max_unpool1d nn.functional.max_unpool2d nn.functional.max_unpool3d
        nn.functional.pixel_shuffle nn.functional.pixel_unshuffle nn.functional.unfold
        nn.functional.upsample_bilinear nn.functional.upsample_nearest signal.windows.*""",
    "normalization, dropout and losses outside a GPT and its teaching": """
        _batch_norm_with_update _native_batch_norm_legit native_batch_norm native_dropout_backward native_group_norm
        native_layer_norm nn.functional.alpha_dropout nn.functional.batch_norm nn.functional.bilinear
        nn.functional.cosine_embedding_loss nn.functional.ctc_loss nn.functional.dropout2d nn.functional.dropout3d
        nn.functional.embedding_bag nn.functional.feature_alpha_dropout nn.functional.gaussian_nll_loss
        nn.functional.group_norm nn.functional.hinge_embedding_loss nn.functional.instance_norm
        nn.functional.linear_cross_entropy
        nn.functional.local_response_norm nn.functional.margin_ranking_loss
        nn.functional.multi_head_attention_forward nn.functional.multi_margin_loss
        nn.functional.multilabel_margin_loss nn.functional.multilabel_soft_margin_loss
        nn.functional.pairwise_distance nn.functional.pdist nn.functional.poisson_nll_loss nn.functional.rrelu
        nn.functional.soft_margin_loss nn.functional.triplet_margin_loss
        nn.functional.triplet_margin_with_distance_loss""",
    "matrix decompositions and solvers": """
        cholesky cholesky_inverse cholesky_solve geqrf linalg.cholesky linalg.cholesky_ex linalg.cond linalg.det
        linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh linalg.householder_product linalg.inv linalg.inv_ex
        linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve linalg.lstsq linalg.lu linalg.lu_factor
        linalg.lu_factor_ex linalg.lu_solve linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.pinv
        linalg.qr linalg.slogdet linalg.solve linalg.solve_ex linalg.solve_triangular linalg.svd linalg.svdvals
        linalg.tensorinv linalg.tensorsolve linalg.vander logdet lu lu_solve lu_unpack matrix_exp norm|nuc ormqr
        pca_lowrank pinverse qr svd svd_lowrank triangular_solve""",
    "activations that networks do not use": """
        nn.functional.hardshrink nn.functional.softshrink nn.functional.tanhshrink""",
    "torch.linalg's second spelling of norm, diagonal, einsum and matmul": """
        linalg.diagonal linalg.multi_dot linalg.norm linalg.vecdot linalg.vector_norm""",
    "special functions and statistics outside the vocabulary": """
        cdist corrcoef cov digamma erfinv gcd heaviside histc histogram histogramdd i0 igamma igammac lcm lgamma mode
        mvlgamma nanquantile nextafter polygamma renorm special.* frexp hash_tensor""",
    "numerical calculus and products outside the vocabulary": """
        combinations cross cumulative_trapezoid gradient linalg.cross trapezoid trapz unique_consecutive
        unravel_index""",
    "random distributions outside the vocabulary": "cauchy geometric log_normal",
    "sparse, masked and segmented tensors": "_segment_reduce masked.* sparse.* to_sparse",
    "raw memory layouts: strides are NumPy's business here": """
        as_strided as_strided_copy as_strided_scatter empty_permuted empty_strided new_empty_strided resize_
        resize_as_""",
    "copying twins of views and internal names, which scripts do not use": """
        _chunk_cat _softmax_backward_data _unsafe_masked_index _unsafe_masked_index_put_accumulate alias_copy
        broadcast_shapes diagonal_copy expand_copy narrow_copy nonzero_static permute_copy slice
        split_with_sizes_copy squeeze_copy t_copy torch.* transpose_copy unbind_copy unfold_copy unsafe_chunk
        unsafe_split unsqueeze_copy view_copy index_reduce put""",
    "other dtypes, devices and compilers": "bfloat16 bmm|triton_optimized jiterator_* nn.functional.silu|complex",
}

# Their values are drawn from generators that differ: shape, dtype and requires_grad are compared here.
RANDOM = {
    *("bernoulli", "empty", "empty_like", "exponential", "multinomial", "new_empty", "nn.functional.dropout"),
    *("normal", "rand_like", "randint", "randint_like", "randn", "randn_like", "uniform"),
}

# Relative and absolute, where 1e-9 is too strict; PyTorch's gradient of hardsigmoid multiplies by float32's 1/6.
TOLERANCE = {"nn.functional.hardsigmoid": 1e-7}

# In-place forms that are not compared: operator -> why.
IN_PLACE_LEFT_OUT = {
    **dict.fromkeys(["acosh", "asinh", "atanh"], "PyTorch has no derivative of the in-place form"),
    **dict.fromkeys(["addbmm", "addr"], "PyTorch resizes the Tensor where it is too small; here that raises"),
}

# How an operator is called here, where it is no function `tensor.NAME`, method, or `nn.functional.NAME`.
CALLS = {
    "einsum": lambda operands, equation: tensor.einsum(equation, *operands),  # the samples name the operands first
    "nn.functional.embedding": lambda weight, input, **options: nn.functional.embedding(input, weight, **options),
    "where": lambda x, condition, other: tensor.where(condition, x, other),
    "__getitem__": operator.getitem,
    "exponential": lambda x, *args: x.exponential_(*args),
    "uniform": lambda x, *args: x.uniform_(*args),
    "__rdiv__": lambda x, other: other / x,
    "H": lambda x: x.H,
    "T": lambda x: x.T,
    "mH": lambda x: x.mH,
    "mT": lambda x: x.mT,
}
