from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from portal import checks  # noqa: F401  registering its checks is the effect
        from portal.roles import sync_groups

        post_migrate.connect(sync_groups, dispatch_uid="portal.roles")
