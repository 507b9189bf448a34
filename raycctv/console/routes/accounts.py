"""Accounts, for administrators."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from raycctv.console.access import Administrator, audit
from raycctv.console.accounts import LONGEST_PASSWORD, ROLES, SHORTEST_PASSWORD, Role, new_password
from raycctv.console.page import render
from raycctv.console.routes.session import AccountAnswer
from raycctv.console.service import service
from raycctv.types import CameraName

router = APIRouter(tags=["accounts"])

Name = Annotated[str, Path(max_length=64)]
Password = Annotated[str, Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)]
Cameras = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)]


class Rights(BaseModel):
    """What an account may. ``cameras`` is null for all; an administrator always sees all."""

    role: Role
    cameras: Cameras | None = None


class NewAccount(Rights):
    """An account that is to be. Without a password it is given a random one."""

    name: str = Field(max_length=64)
    password: Password | None = None


class NewPassword(BaseModel):
    """Without a password a random one is made."""

    password: Password | None = None


class Made(BaseModel):
    """``password`` is told this once where it was made here."""

    account: AccountAnswer
    password: str | None


@router.get("/accounts", response_class=HTMLResponse, include_in_schema=False)
def accounts_page(request: Request, account: Administrator) -> HTMLResponse:
    """All accounts."""
    return render(
        request, "accounts.html", accounts=[AccountAnswer.of(each) for each in service(request).accounts.all()], roles=ROLES
    )


@router.get("/api/accounts")
def accounts(request: Request, account: Administrator) -> list[AccountAnswer]:
    """All accounts, by name."""
    return [AccountAnswer.of(each) for each in service(request).accounts.all()]


@router.post("/api/accounts", status_code=201)
def add_account(request: Request, account: Administrator, new: NewAccount) -> Made:
    """Make one."""
    password = new.password or new_password()
    made = service(request).accounts.add(new.name, new.role, _known(request, new.cameras), password)
    audit(request, "made account", name=made.name, role=made.role, cameras=made.cameras)
    return Made(account=AccountAnswer.of(made), password=None if new.password else password)


@router.put("/api/accounts/{name}")
def change_account(request: Request, account: Administrator, name: Name, rights: Rights) -> AccountAnswer:
    """Give it another role, or other cameras. Counts at once, for sessions that go on too."""
    _existing(request, name)
    changed = service(request).accounts.change(name, rights.role, _known(request, rights.cameras))
    audit(request, "changed account", name=changed.name, role=changed.role, cameras=changed.cameras)
    return AccountAnswer.of(changed)


@router.delete("/api/accounts/{name}", status_code=204)
def remove_account(request: Request, account: Administrator, name: Name) -> Response:
    """Its sessions and tokens end at once."""
    _existing(request, name)
    service(request).accounts.remove(name)
    audit(request, "removed account", name=name)
    return Response(status_code=204)


@router.post("/api/accounts/{name}/password")
def set_password(request: Request, account: Administrator, name: Name, new: NewPassword) -> Made:
    """Give it another password; its sessions end."""
    _existing(request, name)
    password = new.password or new_password()
    service(request).accounts.set_password(name, password)
    audit(request, "set password", name=name)
    return Made(account=_existing(request, name), password=None if new.password else password)


def _existing(request: Request, name: str) -> AccountAnswer:
    found = service(request).accounts.find(name)
    if found is None:
        raise HTTPException(404, "there is no such account")
    return AccountAnswer.of(found)


def _known(request: Request, cameras: list[str] | None) -> list[CameraName] | None:
    """Only cameras that there are.

    Raises:
        HTTPException: 422, one that there is not.
    """
    unknown = [camera for camera in cameras or () if camera not in service(request).config.cameras]
    if unknown:
        raise HTTPException(422, f"there is no camera {unknown[0]!r}")
    return None if cameras is None else [CameraName(camera) for camera in cameras]
