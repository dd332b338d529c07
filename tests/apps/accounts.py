"""Accounts by Flask-Security, which imports flask_login by itself."""

import os

from flask import Flask
from flask_security import Security, SQLAlchemyUserDatastore, auth_required, current_user, hash_password
from flask_security.models import fsqla_v2 as fsqla
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config.update(
    SECRET_KEY="accounts of a few people 4711",
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"],
    SECURITY_PASSWORD_SALT="1465851453681323861735",
    SECURITY_PASSWORD_HASH="plaintext",
    SECURITY_PASSWORD_SCHEMES=["plaintext"],
    WTF_CSRF_ENABLED=False,
)
db = SQLAlchemy(app)
fsqla.FsModels.set_db_info(db)


class Role(db.Model, fsqla.FsRoleMixin):
    pass


class User(db.Model, fsqla.FsUserMixin):
    pass


store = SQLAlchemyUserDatastore(db, User, Role)
Security(app, store)


@app.route("/")
@auth_required()
def home():
    return current_user.email


def make_account(email, password):
    db.create_all()
    store.create_user(email=email, password=hash_password(password))
    db.session.commit()
