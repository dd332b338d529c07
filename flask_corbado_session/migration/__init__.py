"""Keeps users signed in while an app moves here from another extension. One line in ``create_app``, for a while::

move_flask_login(app, until=date(2027, 2, 1))
"""

from .extensions import move_flask_login, move_flask_security_login, move_jwt_extended_login, move_session_login

__all__ = ["move_flask_login", "move_flask_security_login", "move_jwt_extended_login", "move_session_login"]
