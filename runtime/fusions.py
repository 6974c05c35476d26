"""stub"""

from pydantic import BaseModel


class Fusion(BaseModel):
    operations: tuple[str, ...]
    nodes: tuple[str, ...]
