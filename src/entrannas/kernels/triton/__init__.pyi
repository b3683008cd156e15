from .conditions import applies
from .depthwise import ReluDepthwise

__all__ = ["ReluDepthwise", "applies"]
