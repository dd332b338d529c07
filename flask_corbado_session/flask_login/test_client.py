"""A test client that is signed in."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from ..testing import signed_in
from .utils import current_manager


class FlaskLoginClient(FlaskClient):
    """A test client signed in as a user: ``app.test_client_class = FlaskLoginClient``, ``app.test_client(user=alice)``.

    :param args: what Flask's ``FlaskClient`` takes.
    :param user: the user object; nobody by default.
    :param fresh_login: False for a login that ``fresh_login_required`` does not accept.
    :param kwargs: what Flask's ``FlaskClient`` takes by name.
    """

    def __init__(self, *args: Any, user: Any = None, fresh_login: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if user:
            with self.application.app_context():
                manager = current_manager()
            get_id = getattr(user, manager.id_attribute)
            signed_in(self.application, str(get_id()), remember=False, fresh=fresh_login, client=self)
