"""The standard OpenLineage client sends events unchanged: with gzip and without, twice, in another order."""

import datetime as dt
import warnings

warnings.simplefilter("error")

from facts import FACTS  # noqa: E402
from openlineage.client import OpenLineageClient  # noqa: E402
from openlineage.client.event_v2 import (  # noqa: E402
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.transport.http import (  # noqa: E402
    ApiKeyTokenProvider,
    HttpCompression,
    HttpConfig,
    HttpTransport,
)
from openlineage.client.uuid import generate_new_uuid  # noqa: E402

for compression in (None, HttpCompression.GZIP):
    config = HttpConfig(
        url=FACTS["url"],
        auth=ApiKeyTokenProvider({"apiKey": FACTS["token"]}),
        compression=compression,
    )
    client = OpenLineageClient(transport=HttpTransport(config))
    for run_id in (FACTS["tracker_run_id"], str(generate_new_uuid())):
        events = [
            RunEvent(
                eventType=state,
                eventTime=dt.datetime.now(dt.UTC).isoformat(),
                run=Run(runId=run_id),
                job=Job(namespace="airflow", name="train.posts"),
                producer="https://example.org/integrations",
                inputs=[InputDataset(namespace="s3://clean", name="clean/posts.parquet")],
                outputs=[OutputDataset(namespace="s3://models", name="sample-model")],
            )
            for state in (RunState.START, RunState.RUNNING, RunState.COMPLETE)
        ]
        # In another order, and the last one twice.
        for event in (events[2], events[0], events[1], events[2]):
            client.emit(event)
    print(f"8 events with {'gzip' if compression else 'no encoding'} were taken")
