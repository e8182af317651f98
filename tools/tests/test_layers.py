"""Every package of ours has a contract for its layers; import-linter then asks for every module in it."""

import tomllib

from django.conf import settings

# Django finds their modules by name; they hold one each, or data.
WITHOUT_LAYERS = {"tests", "migrations", "management", "commands", "formats", "templatetags"}


def packages() -> set[str]:
    """The packages with more than one module or package in them."""
    found = set()
    for app in settings.OUR_APPS:
        for init in (settings.BASE_DIR / app).rglob("__init__.py"):
            path = init.parent.relative_to(settings.BASE_DIR)
            inside = [
                one
                for one in init.parent.iterdir()
                if (one.suffix == ".py" and one != init) or (one / "__init__.py").exists()
            ]
            if not WITHOUT_LAYERS & set(path.parts) and len(inside) > 1:
                found.add(".".join(path.parts))
    return found


def test_every_package_has_its_layers_and_no_contract_is_for_none():
    rules = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["tool"][
        "importlinter"
    ]
    of_layers = [one for one in rules["contracts"] if one["type"] == "layers"]
    (roof,) = [one for one in of_layers if "containers" not in one]
    inside = [one for one in of_layers if "containers" in one]

    assert roof["layers"] == rules["root_packages"] == settings.OUR_APPS
    assert {name for one in inside for name in one["containers"]} == packages()
    assert all(one["exhaustive"] for one in inside)
