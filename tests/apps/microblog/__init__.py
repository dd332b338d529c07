"""A small blog, laid out the way Flask's best-known tutorial teaches: factory, blueprints, forms, migrations."""

import os

from flask import Flask, current_app
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect


class Config:
    SECRET_KEY = os.environ.get("SECRET_KEY") or "only for development, on this machine"
    SQLALCHEMY_DATABASE_URI = os.environ.get("DATABASE_URL", "sqlite:///microblog.sqlite")


db = SQLAlchemy()
migrate = Migrate()
csrf = CSRFProtect()
login = LoginManager()
login.login_view = "auth.login"
login.login_message = "Please sign in to see this page."
login.login_message_category = "info"


def create_app(config_class=Config):
    app = Flask(__name__)
    app.config.from_object(config_class)
    login.init_app(app)
    csrf.init_app(app)
    db.init_app(app)
    migrate.init_app(app, db)

    from .auth import bp as auth_bp
    from .errors import bp as errors_bp
    from .main import bp as main_bp

    app.register_blueprint(errors_bp)
    app.register_blueprint(auth_bp, url_prefix="/auth")
    app.register_blueprint(main_bp)
    app.shell_context_processor(lambda: {"db": db, "app": current_app})
    return app


from . import models  # noqa: E402, F401
