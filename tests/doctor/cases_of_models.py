"""What is wrong with certificates, buckets and secrets."""

from __future__ import annotations

from tests.doctor.asked import (
    CERTIFICATE,
    HUB,
    TOKEN,
    Case,
    model,
    serving,
)

CASES = {
    "no certificate": Case(
        model() | serving(model="m", serving={"certificate": CERTIFICATE}),
        {},
        "029",
        "fleets.serve.serving.certificate",
        "no such certificate",
    ),
    "a certificate that waits": Case(
        model() | serving(model="m", serving={"certificate": CERTIFICATE}),
        {"certificates": {CERTIFICATE: "PENDING_VALIDATION"}},
        "030",
        "fleets.serve.serving.certificate",
        "PENDING_VALIDATION",
    ),
    "no bucket": Case(model("s3://other/m/"), {}, "031", "models.m.source.s3", "there is no bucket other"),
    "an empty source": Case(model(), {"buckets": {"models": False}}, "032", "models.m.source.s3", "nothing lies there"),
    "an empty mirror": Case(
        model(mirror="s3://models/m/", **HUB),
        {"buckets": {"models": False}},
        "032",
        "models.m.source.mirror",
        "nothing",
    ),
    "a bucket that says nothing": Case(
        model(watch=True), {"silent": {"models"}}, "036", "models.m.source.watch", "sends EventBridge nothing"
    ),
    "no secret": Case(model(token=TOKEN, **HUB), {}, "037", "models.m.source.token", "there is no such secret"),
    "a secret that goes": Case(
        model(token=TOKEN, **HUB), {"secrets": {TOKEN: False}}, "037", "models.m.source.token", "about to be deleted"
    ),
}
