from objections.choices import Effect
from portal.models import TrackedQuerySet


class ObjectionQuerySet(TrackedQuerySet):
    def restricting(self, purpose: str) -> "ObjectionQuerySet":
        """Objections being examined: the member is out from receipt (GDPR Art. 18(1)(d))."""
        return self.filter(purpose=purpose, effect=Effect.RESTRICTING)

    def upheld(self, purpose: str) -> "ObjectionQuerySet":
        return self.filter(purpose=purpose, effect=Effect.UPHELD)
