"""Which module each name of the artifacts comes from: the one list, for the doors and for types on disk."""

MODULES = {
    "Artifact": "base",
    "DataBlendsArtifact": "data_blends",
    "EmbedDataArtifact": "embed",
    "EmbedModelArtifact": "embed",
    "EnergonWebDatasetArtifact": "energon_webdataset",
    "InputDatasetInfo": "inputs",
    "ModelArtifact": "model",
    "PretrainBlendsArtifact": "pretrain_blends",
    "PretrainDataArtifact": "pretrain_data",
    "RerankDataArtifact": "rerank",
    "RerankModelArtifact": "rerank",
    "SFTDataArtifact": "sft_data",
    "SplitJsonlDataArtifact": "split_jsonl",
    "TrackingInfo": "base",
}
