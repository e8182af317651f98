"""The roles as groups, with the permissions that the apps declare for them.

Groups are synchronised after every `migrate`, because a permission exists only once its model's
migration has run. A permission that no app gives to a role belongs to no group.
"""

from typing import Any

from django.contrib.auth.models import Group, Permission

from common import registry


def sync_groups(sender: Any = None, **kwargs: Any) -> None:
    """Give each group the permissions that the apps declare for its role.

    Runs after `migrate`, behind the app whose receiver creates the last of the permissions (contenttypes
    comes after auth in INSTALLED_APPS), and does nothing on a partly migrated database.
    """
    if sender is not None and sender.name != "django.contrib.contenttypes":
        return
    known = {
        f"{app}.{codename}": pk
        for app, codename, pk in Permission.objects.values_list(
            "content_type__app_label", "codename", "pk"
        )
    }
    wanted = {name for names in registry.permissions.values() for name in names}
    if not wanted <= known.keys():
        return
    for role, names in registry.permissions.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([known[name] for name in names])
