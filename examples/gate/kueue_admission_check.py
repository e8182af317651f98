"""The handler of a Kueue AdmissionCheck: may a workload with the label `training-portal/run` be admitted?

A controller calls `check_state` for each pending workload and writes the answer into `status.admissionChecks`.
"""

import json
import urllib.error
import urllib.request
from typing import Any

LABEL = "training-portal/run"
# Reasons that pass by themselves: the workload waits and is asked again.
PASSES = {"manifest_not_ready", "delivery_not_ready"}


def check_state(workload: dict[str, Any], portal: str, token: str) -> dict[str, str]:
    """`state` (Ready, Retry or Rejected) and `message` of the check of a workload."""
    run = workload.get("metadata", {}).get("labels", {}).get(LABEL)
    if not run:
        return _state("Rejected", f"The workload has no label {LABEL}.")
    try:
        status, said = ask_gate(portal, token, run)
    except (OSError, ValueError) as error:
        # No answer, or one of a proxy that is no JSON.
        return _state("Retry", f"The portal does not answer: {type(error).__name__}.")
    if status == 200:
        return _state("Ready", f"{run} may be trained on {said['delivery']}.")
    if status == 409 and said.get("code") not in PASSES:
        return _state("Rejected", f"{said.get('code')}: {said.get('detail')}")
    return _state("Retry", f"{said.get('code', status)}: {said.get('detail', '')}")


def ask_gate(portal: str, token: str, run: str) -> tuple[int, dict[str, Any]]:
    """The status and the body of the gate's answer."""
    request = urllib.request.Request(
        f"{portal}/api/v1/runs/{run}/gate", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def _state(state: str, message: str) -> dict[str, str]:
    return {"state": state, "message": message[:1024]}


def mutate_pod(review: dict[str, Any], portal: str, token: str) -> dict[str, Any]:
    """The answer of an admission webhook (admission.k8s.io/v1) for a pod: allowed or not, and why."""
    request = review["request"]
    found = check_state(request["object"], portal, token)
    response: dict[str, Any] = {"uid": request["uid"], "allowed": found["state"] == "Ready"}
    if not response["allowed"]:
        response["status"] = {"code": 403, "message": found["message"]}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
