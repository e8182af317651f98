from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate
        from django.utils.module_loading import autodiscover_modules

        from portal import checks  # noqa: F401  registering its checks is the effect
        from portal.roles import sync_groups

        # SimpleAdminConfig looks for no admin modules; ours register on our own site.
        autodiscover_modules("admin")
        post_migrate.connect(sync_groups, dispatch_uid="portal.roles")
