from flask import Blueprint

from .. import db

bp = Blueprint("errors", __name__)


@bp.app_errorhandler(404)
def not_found_error(error):
    return "There is no such page here.", 404


@bp.app_errorhandler(500)
def internal_error(error):
    db.session.rollback()
    return "Something went wrong.", 500
