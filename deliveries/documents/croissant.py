"""A Croissant 1.1 description of a model's data sets, with fields of the RAI vocabulary (MLCommons)."""

from typing import Any

from deliveries.documents.ai_act import document as ai_act
from deliveries.documents.figures import Figures
from deliveries.errors import FactsMissing
from deliveries.trained_models import ADDRESSES

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def document(figures: Figures) -> dict[str, Any]:
    """JSON-LD that names each file with its SHA-256; the fields about people come from the receipts.

    Raises FactsMissing without the addresses of the licence and of a page, which Croissant asks for.
    """
    model = figures.model
    if missing := [name for name in ADDRESSES if not model.facts.get(name)]:
        raise FactsMissing(
            f"Croissant asks for {' and '.join(missing)}. Record them among the facts of {model.name}."
        )
    published = max((one.received_at for one in figures.receipts), default=None)
    said: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": model.name,
        "description": model.facts.get("description") or f"Training data of {model.title}.",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "license": model.facts["licence_url"],
        "url": model.facts["page_url"],
        "citeAs": f"{model.title}, {model.version or 'no version'}",
        "creator": {"@type": "sc:Organization", "name": model.team.name},
        "version": model.version or "0.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"file-{number}",
                "name": one.name,
                "contentUrl": one.name,
                "contentSize": f"{one.size} B",
                "encodingFormat": _media_type(one.name),
                "sha256": one.sha256,
            }
            for number, one in enumerate(figures.data_sets, 1)
        ],
        "rai:dataCollection": "Content of members of our own services, by the manifests of its runs.",
        "rai:personalSensitiveInformation": ai_act(figures)["3.3"],
        "rai:dataReleaseMaintenancePlan": "Each delivery may be used until its lease ends.",
    }
    if published is not None:
        said["datePublished"] = f"{published:%Y-%m-%d}"
    if figures.latest:
        said["rai:dataCollectionTimeframe"] = [figures.earliest, figures.latest]
    return said


def _media_type(name: str) -> str:
    known = {
        ".parquet": "application/x-parquet",
        ".jsonl": "application/jsonlines",
        ".csv": "text/csv",
        ".json": "application/json",
    }
    return next((kind for end, kind in known.items() if name.endswith(end)), "text/plain")
