from .follower import Follower
from .listening import LOGGERS, log_to
from .logger import Logger, Point

__all__ = ["LOGGERS", "Follower", "Logger", "Point", "log_to"]
