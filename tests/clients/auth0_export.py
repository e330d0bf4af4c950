"""The PyPI package auth0-python, unmodified: asks for an export, polls it, downloads its file.

Usage: python auth0_export.py DOMAIN TOKEN CONNECTION_ID
"""

import gzip
import json
import sys
import time

import httpx
from auth0.management import ManagementClient
from auth0.management.core.api_error import ApiError

domain, token, connection = sys.argv[1:]
client = ManagementClient(domain=domain, token=token)


def exported(**request):
    created = client.jobs.users_exports.create(**request)
    assert created.type == "users_export", created
    assert created.status == "pending", created
    for _ in range(600):
        job = client.jobs.get(created.id)
        assert job.status != "failed", job
        if job.status == "completed":
            file = httpx.get(job.location)
            file.raise_for_status()
            return file.headers["content-disposition"], gzip.decompress(file.content).decode()
        time.sleep(0.05)
    raise AssertionError("the job does not end")


name, text = exported(
    format="csv",
    fields=[
        {"name": "user_id"},
        {"name": "email", "export_as": "E-mail"},
        {"name": "user_metadata.department", "export_as": "dept"},
    ],
)
assert 'filename="acme.csv.gz"' in name, name
lines = text.rstrip().split("\r\n")
assert lines[0] == '"user_id","E-mail","dept"', lines[0]
assert len(lines) == 301, len(lines)

name, text = exported(format="json", limit=7, fields=[{"name": "user_metadata"}, {"name": "email"}])
assert 'filename="acme.json.gz"' in name, name
users = [json.loads(line) for line in text.splitlines()]
assert len(users) == 7 and isinstance(users[0]["user_metadata"], dict), users

_, text = exported(format="json", connection_id=connection)
assert 0 < len(text.splitlines()) < 300

for status, call in [
    (404, lambda: client.jobs.get("job_0000000000000000")),
    (400, lambda: client.jobs.users_exports.create(fields=[{"name": "phone_number"}])),
]:
    try:
        call()
    except ApiError as error:
        assert error.status_code == status, error
    else:
        raise AssertionError(f"{status} was expected")
print("auth0-python (PyPI): exported as CSV and JSON")
