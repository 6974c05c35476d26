"""The models of the zoo: all of torchvision's that classify or segment images, and one of each of timm's families.

A family of timm is a module of `timm.models`. It is taken if its smallest model that isn't a test fixture has at least
four convolutions, which leaves out those that only embed patches with one; a few of the latter are added at the end.
"""

import torchvision

__all__ = ["TIMM_FAMILIES", "TIMM_NOT_CONVOLUTIONAL", "TIMM_TRANSFORMERS", "weights_count", "zoo_models"]

TIMM_FAMILIES = {
    "byoanet": "halonet_h1",
    "byobnet": "repvgg_a0",
    "coat": "coat_tiny",
    "convmixer": "convmixer_768_32",
    "convnext": "convnext_atto",
    "cpubone": "cpubone_nano",
    "csatv2": "csatv2",
    "cspnet": "cs3darknet_focus_s",
    "cspnext": "cspnext_tiny",
    "davit": "davit_tiny",
    "densenet": "densenet121",
    "dla": "dla46x_c",
    "dpn": "dpn48b",
    "edgenext": "edgenext_xx_small",
    "efficientformer": "efficientformer_l1",
    "efficientformer_v2": "efficientformerv2_s0",
    "efficientnet": "efficientnet_lite0",
    "efficientvim": "efficientvim_m1",
    "efficientvit_mit": "efficientvit_b0",
    "efficientvit_msra": "efficientvit_m0",
    "fasternet": "fasternet_t0",
    "fastvit": "fastvit_t8",
    "focalnet": "focalnet_tiny_srf",
    "gcvit": "gcvit_xxtiny",
    "ghostnet": "ghostnet_050",
    "hardcorenas": "hardcorenas_b",
    "hgnet": "hgnetv2_b0",
    "hrnet": "hrnet_w18_small",
    "iformer": "iformer_t",
    "inception_next": "inception_next_atto",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_v3": "inception_v3",
    "inception_v4": "inception_v4",
    "lcnetv2": "lcnetv2_small",
    "levit": "levit_128s",
    "lowformer": "lowformer_b0",
    "mambaout": "mambaout_femto",
    "maxxvit": "coatnet_nano_rw_224",
    "metaformer": "poolformerv2_s12",
    "mobilenetv3": "mobilenetv3_small_050",
    "mobilenetv5": "mobilenetv5_base",
    "mobilevit": "mobilevit_xxs",
    "mvitv2": "mvitv2_tiny",
    "nasnet": "nasnetalarge",
    "nextvit": "nextvit_small",
    "nfnet": "nf_regnet_b0",
    "pnasnet": "pnasnet5large",
    "pvt_v2": "pvt_v2_b0",
    "rdnet": "rdnet_tiny",
    "regnet": "regnetx_002",
    "repghost": "repghostnet_050",
    "repvit": "repvit_m1",
    "res2net": "res2next50",
    "resnest": "resnest14d",
    "resnet": "resnet10t",
    "resnetv2": "resnetv2_18",
    "rexnet": "rexnet_100",
    "selecsls": "selecsls42",
    "senet": "legacy_seresnet18",
    "sequencer": "sequencer2d_s",
    "shvit": "shvit_s1",
    "sknet": "skresnet18",
    "starnet": "starnet_s050",
    "swiftformer": "swiftformer_xs",
    "tiny_vit": "tiny_vit_5m_224",
    "tresnet": "tresnet_m",
    "twins": "twins_svt_small",
    "vgg": "vgg11",
    "visformer": "visformer_tiny",
    "vitamin": "vitamin_small_224",
    "volo": "volo_d1_224",
    "vovnet": "ese_vovnet19b_slim_dw",
    "xception": "legacy_xception",
    "xception_aligned": "xception41p",
    "xcit": "xcit_nano_12_p16_224",
}
"""Family to the model that represents it."""

TIMM_TRANSFORMERS = ("deit_tiny_patch16_224", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "mixer_s32_224")

TIMM_NOT_CONVOLUTIONAL = frozenset(
    {
        "beit",
        "cait",
        "convit",
        "crossvit",
        "deepseek_vit",
        "deit",
        "eva",
        "gemma4_vit",
        "hiera",
        "hieradet_sam2",
        "mlp_mixer",
        "naflexvit",
        "nest",
        "pit",
        "qwen3_vit",
        "swin_transformer",
        "swin_transformer_v2",
        "swin_transformer_v2_cr",
        "tnt",
        "vision_transformer",
        "vision_transformer_hybrid",
        "vision_transformer_relpos",
        "vision_transformer_sam",
    }
)
"""The families that are left out."""


def zoo_models() -> list[str]:
    """Return the models' names, as `layerprobe` takes them, in the order of the table."""
    models = torchvision.models
    classifiers = models.list_models(module=models)
    segmenters = models.list_models(module=models.segmentation)
    return [
        *(f"torchvision:{name}" for name in (*classifiers, *segmenters)),
        *(f"timm:{name}" for name in (*TIMM_FAMILIES.values(), *TIMM_TRANSFORMERS)),
    ]


def weights_count(name: str) -> int:
    """Return how many weights a model has, according to torchvision; 0 for timm's, the smallest of their families.

    It serves to run small models first, and is known without building the model.
    """
    source, _, rest = name.partition(":")
    if source != "torchvision":
        return 0
    return int(torchvision.models.get_model_weights(rest).DEFAULT.meta["num_params"])
