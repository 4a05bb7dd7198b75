"""The gateway of the stand-in: an HTTP server that gives each user a worker and passes the code on over HTTP.

A call takes a global lock to find its worker, and holds the lock even while it makes a worker.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import uuid4

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel

TOKEN = os.environ["TOKEN"]
MIN_IDLE_WORKERS = int(os.environ["MIN_IDLE_WORKERS"])
# Whether one HTTP client keeps its connections to workers. The predecessor made a new client for each call.
KEEPS_CONNECTIONS = os.environ["KEEPS_CONNECTIONS"] == "yes"
DOCKER = "http://docker"
CALL_TIMEOUT_S = 30.0
START_TIMEOUT_S = 60.0
POLL_S = 0.1


class ExecuteRequest(BaseModel):
    user_uuid: str
    code: str


class ExecuteResponse(BaseModel):
    result_text: str | None = None
    result_base64: str | None = None


lock = asyncio.Lock()
idle: list[str] = []
worker_of: dict[str, str] = {}
kept_client = httpx.AsyncClient(timeout=CALL_TIMEOUT_S)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    idle.extend(await asyncio.gather(*[create_worker() for _ in range(MIN_IDLE_WORKERS)]))
    yield


async def create_worker() -> str:
    """Returns the address of a new worker, once it is healthy."""
    name = f"{os.environ['NETWORK']}-{uuid4().hex[:12]}"
    transport = httpx.AsyncHTTPTransport(uds="/var/run/docker.sock")
    async with httpx.AsyncClient(transport=transport, timeout=START_TIMEOUT_S) as docker:
        body = {
            "Image": os.environ["IMAGE"],
            "Entrypoint": ["python3", "-m", "uvicorn"],
            "Cmd": [
                *["--app-dir", "/contender", "--host", "0.0.0.0", "--port", "8000"],
                *["--loop", "uvloop", "--http", "httptools"],
                *["--log-level", "warning", "--no-access-log", "worker:app"],
            ],
            "Env": [f"LINK={os.environ['LINK']}", "HOME=/tmp"],
            "WorkingDir": "/tmp",
            "Labels": {"cellhouse.bench": os.environ["NETWORK"]},
            "HostConfig": {
                "NetworkMode": os.environ["NETWORK"],
                "Binds": [f"{os.environ['FOLDER']}:/contender:ro"],
                "AutoRemove": True,
            },
        }
        created = await docker.post(f"{DOCKER}/containers/create?name={name}", json=body)
        created.raise_for_status()
        (await docker.post(f"{DOCKER}/containers/{name}/start")).raise_for_status()
    await wait_until_healthy(f"http://{name}:8000")
    return f"http://{name}:8000"


async def wait_until_healthy(url: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(START_TIMEOUT_S):
        while True:
            try:
                if (await client.get(f"{url}/health")).status_code == 200:
                    return
            except httpx.RequestError:
                pass
            await asyncio.sleep(POLL_S)


async def worker_for(user_uuid: str) -> str:
    async with lock:
        if user_uuid not in worker_of:
            worker_of[user_uuid] = idle.pop(0) if idle else await create_worker()
        return worker_of[user_uuid]


async def verify_token(x_auth_token: Annotated[str, Header()]) -> None:
    if x_auth_token != TOKEN:
        raise HTTPException(401, "That is not the token.")


app = FastAPI(lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/execute", dependencies=[Depends(verify_token)])
async def execute(request: ExecuteRequest) -> ExecuteResponse:
    url = f"{await worker_for(request.user_uuid)}/execute"
    body = {"code": request.code}
    if KEEPS_CONNECTIONS:
        answer = await kept_client.post(url, json=body)
    else:
        async with httpx.AsyncClient(timeout=CALL_TIMEOUT_S) as client:
            answer = await client.post(url, json=body)
    if answer.status_code != 200:
        raise HTTPException(answer.status_code, answer.json().get("detail"))
    return ExecuteResponse(**answer.json())
