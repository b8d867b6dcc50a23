"""Named places at which a process may be made to die, to prove that dying there does no harm. Pure.

A place costs one call of a function that does nothing, unless the process was started to die there.
"""

from collections.abc import Callable

Hit = Callable[[str], None]


def nothing(name: str) -> None:
    """Pass the place."""


def failpoints(spec: str, die: Callable[[], None]) -> Hit:
    """What to call at each named place. spec: `name` or `name:N` to die at the N-th passing, several with commas.

    Raises ValueError that names the part which is none.
    """
    left: dict[str, int] = {}
    for part in filter(None, spec.split(",")):
        name, _, count = part.strip().partition(":")
        if not name or not (count or "1").isdigit():
            raise ValueError(f"expected NAME or NAME:N, was {part!r}")
        left[name] = int(count or "1")
    if not left:
        return nothing

    def hit(name: str) -> None:
        if name in left:
            left[name] -= 1
            if not left[name]:
                die()

    return hit
