"""The worker of the stand-in: an HTTP server in front of one kernel. It runs one execution at a time."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from kernel_links import CodeError, JupyterClientLink, JupyterServerLink, KernelLink
from pydantic import BaseModel

# The predecessor's limit. It answered longer code with 400.
EXECUTION_TIMEOUT_S = 10.0


class ExecuteRequest(BaseModel):
    code: str


class ExecuteResponse(BaseModel):
    result_text: str | None = None
    result_base64: str | None = None


def create_link() -> KernelLink:
    link = os.environ["LINK"]
    return JupyterClientLink() if link == "client" else JupyterServerLink(over_tcp=link == "tcp")


kernel = create_link()
lock = asyncio.Lock()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await kernel.start()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    if not await kernel.is_healthy():
        raise HTTPException(503, "The kernel is not healthy.")
    return {"status": "ok"}


@app.post("/execute")
async def execute(request: ExecuteRequest) -> ExecuteResponse:
    async with lock:
        try:
            answer = await asyncio.wait_for(kernel.execute(request.code), EXECUTION_TIMEOUT_S)
        except CodeError as error:
            raise HTTPException(400, str(error)) from error
        except TimeoutError as error:
            raise HTTPException(400, "The code took too long.") from error
    return ExecuteResponse(**answer)
