"""Keys of programs, each of one's own account."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, Response
from pydantic import BaseModel, Field

from raycctv.clock import iso
from raycctv.console.access import Person, audit
from raycctv.console.accounts import Role
from raycctv.console.service import service
from raycctv.console.tokens import Token

router = APIRouter(tags=["tokens"])

_LONGEST_DAYS = 3660


class NewToken(BaseModel):
    """``role`` is at most that of the account; ``days`` is null for a token that does not run out."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")
    role: Role = "viewer"
    days: float | None = Field(None, gt=0, le=_LONGEST_DAYS)


class TokenAnswer(BaseModel):
    """A token without the token."""

    id: int
    name: str
    role: Role
    created_at: str
    expires_at: str | None
    used_at: str | None

    @classmethod
    def of(cls, token: Token) -> "TokenAnswer":
        expires_at, used_at = (None if at is None else iso(at) for at in (token.expires_at_ns, token.used_at_ns))
        return cls(
            id=token.id,
            name=token.name,
            role=token.role,
            created_at=iso(token.created_at_ns),
            expires_at=expires_at,
            used_at=used_at,
        )


class MadeToken(BaseModel):
    """``secret`` is told this once; programs send it as ``Authorization: Bearer <secret>``."""

    secret: str
    token: TokenAnswer


@router.get("/api/tokens")
def tokens(request: Request, session: Person) -> list[TokenAnswer]:
    """Those of the account that asks."""
    return [TokenAnswer.of(token) for token in service(request).tokens.of(session.account)]


@router.post("/api/tokens", status_code=201)
def add_token(request: Request, session: Person, new: NewToken) -> MadeToken:
    """Make one."""
    lasts_s = None if new.days is None else new.days * 86400
    secret, token = service(request).tokens.add(session.account, new.name, new.role, lasts_s)
    audit(request, "made token", name=token.name, role=token.role)
    return MadeToken(secret=secret, token=TokenAnswer.of(token))


@router.delete("/api/tokens/{token_id}", status_code=204)
def remove_token(request: Request, session: Person, token_id: Annotated[int, Path(ge=1, le=2**53)]) -> Response:
    """It counts no longer."""
    if not service(request).tokens.remove(session.account, token_id):
        raise HTTPException(404, "there is no such token")
    audit(request, "removed token", id=token_id)
    return Response(status_code=204)
