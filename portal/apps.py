from django.apps import AppConfig
from django.conf import settings


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import post_migrate
        from django.utils.module_loading import autodiscover_modules

        from common import registry
        from common.identity.groups import sync_groups
        from common.identity.sign_in import log_sign_in
        from portal import checks  # noqa: F401  registering its checks is the effect

        # From the ground up, so that an app finds the points of those below it.
        registry.collect(reversed(settings.BROUGHT))
        # SimpleAdminConfig looks for no admin modules; ours register on our own site.
        autodiscover_modules("admin")
        user_logged_in.connect(log_sign_in, dispatch_uid="common.identity.sign_in")
        post_migrate.connect(sync_groups, dispatch_uid="common.identity.groups")
