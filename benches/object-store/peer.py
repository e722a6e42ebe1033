"""boto3 as a contender: reads a job from standard input, answers what it measured."""

import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

job = json.load(sys.stdin)
client = boto3.client(
    "s3",
    endpoint_url=job["endpoint"],
    region_name=job["region"],
    aws_access_key_id=job["access"],
    aws_secret_access_key=job["signing"],
    config=Config(s3={"addressing_style": "path"}, max_pool_connections=32),
)
bucket = job["bucket"]


def key(number):
    return f"small/{number:05}"


def put_small(number):
    client.put_object(Bucket=bucket, Key=key(number), Body=data)


def get_small(number):
    client.get_object(Bucket=bucket, Key=key(number))["Body"].read()


def each(work):
    with ThreadPoolExecutor(32) as pool:
        for _ in pool.map(work, range(job["objects"])):
            pass


data = bytes(job["object_bytes"])
begun = time.monotonic()
if job["kind"] == "put-large":
    client.upload_file(job["source"], bucket, "large")
elif job["kind"] == "get-large":
    with open("/dev/null", "wb") as sink:
        client.download_fileobj(bucket, "large", sink)
elif job["kind"] == "put-small":
    each(put_small)
else:
    each(get_small)
took = time.monotonic() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": took, "peak_mib": peak}))
