"""Roles by Flask-Principal, told by the login who somebody is, as its documentation shows for Flask-Login."""

import os

from flask import Flask, current_app, session
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_principal import (
    AnonymousIdentity,
    Identity,
    Permission,
    Principal,
    RoleNeed,
    UserNeed,
    identity_changed,
    identity_loaded,
)
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SECRET_KEY"] = "roles of a few people 4711"
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
Principal(app)
login_manager = LoginManager(app)
db = SQLAlchemy(app)
admin_permission = Permission(RoleNeed("admin"))


class User(UserMixin, db.Model):
    id = db.Column(db.Integer, primary_key=True)
    role = db.Column(db.String(20))


@login_manager.user_loader
def load_user(user_id):
    return db.session.get(User, int(user_id))


@identity_loaded.connect_via(app)
def on_identity_loaded(sender, identity):
    identity.user = current_user
    if hasattr(current_user, "id"):
        identity.provides.add(UserNeed(current_user.id))
    if hasattr(current_user, "role"):
        identity.provides.add(RoleNeed(current_user.role))


@app.route("/login/<int:user_id>")
def login(user_id):
    user = db.session.get(User, user_id)
    login_user(user)
    identity_changed.send(current_app._get_current_object(), identity=Identity(user.id))
    return "in"


@app.route("/logout")
@login_required
def logout():
    logout_user()
    for key in ("identity.name", "identity.auth_type"):
        session.pop(key, None)
    identity_changed.send(current_app._get_current_object(), identity=AnonymousIdentity())
    return "out"


@app.route("/admin")
@login_required
@admin_permission.require(403)
def admin():
    return "admin"
