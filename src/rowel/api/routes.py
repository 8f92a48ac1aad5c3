"""What every resource's file begins with: its router, and how its endpoints reach the engine."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from rowel.api.body import JudgedRoute
from rowel.api.options import Limits, options_of
from rowel.engine.engine import Engine


def resource(name: str) -> APIRouter:
    """A router for the routes of one resource."""
    return APIRouter(route_class=JudgedRoute, tags=[name])


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _limits(request: Request) -> Limits:
    return options_of(request).limits


EngineOf = Annotated[Engine, Depends(_engine)]
LimitsOf = Annotated[Limits, Depends(_limits)]
