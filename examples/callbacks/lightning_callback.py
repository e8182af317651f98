"""A callback for Lightning: it ends the training when the data may not be used any more.

    with portal.training_run(...) as run:
        trainer = Trainer(..., callbacks=[PortalCallback(run)])
        trainer.fit(model, data)

Leaving the block marks the run failed when the callback stopped it, and completes it otherwise. Hooks as in the
documentation of Lightning 2 (`lightning.pytorch.callbacks.Callback`).
"""

from typing import Any

from lightning.pytorch.callbacks import Callback
from stopping import Checked, Stop


class PortalCallback(Callback):
    def __init__(self, run: Checked) -> None:
        self.stop = Stop(run)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.stop.is_needed():
            trainer.should_stop = True
