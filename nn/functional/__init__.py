"""Layers without state, one file each; `from nn import functional as F`.

In each file: what it computes, with shapes; the composed form from primitive operations, which is the definition; the
derivation of its backward pass; the fused op; and the public function.
"""

from nn.functional.activations import *
from nn.functional.add_layer_norm import add_layer_norm, add_layer_norm_composed
from nn.functional.attention import attention_composed, scaled_dot_product_attention
from nn.functional.cross_entropy import cross_entropy, cross_entropy_composed, nll_loss
from nn.functional.dropout import dropout, dropout_composed
from nn.functional.embedding import embedding, embedding_composed, one_hot
from nn.functional.gelu import gelu, gelu_composed
from nn.functional.layer_norm import layer_norm, layer_norm_composed, rms_norm, rms_norm_composed
from nn.functional.linear import linear, linear_composed
from nn.functional.linear_gelu import linear_gelu, linear_gelu_composed
from nn.functional.losses import *
from nn.functional.similarity import *
from nn.functional.softmax import log_softmax, log_softmax_composed, softmax, softmax_composed, softmin
from tensor.ops.join import pad
