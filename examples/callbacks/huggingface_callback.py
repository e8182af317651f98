"""A callback for the Trainer of Hugging Face transformers: it ends the training when the data may not be used any more.

    with portal.training_run(...) as run:
        trainer = Trainer(..., callbacks=[PortalCallback(run)])
        trainer.train()

Leaving the block marks the run failed when the callback stopped it, and completes it otherwise. Hooks and control as in
the documentation of transformers 5 (Callbacks).
"""

from typing import Any

from stopping import Checked, Stop
from transformers import TrainerCallback


class PortalCallback(TrainerCallback):
    def __init__(self, run: Checked) -> None:
        self.stop = Stop(run)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self.stop.is_needed():
            control.should_training_stop = True
            # What was trained on data that may not be used any more is not kept.
            control.should_save = False
        return control
