"""An admin whose pages ask who is there: the way Flask-Admin's documentation shows for Flask-Login."""

import os

import flask_admin as admin
import flask_login as login
from flask import Flask, redirect, request, url_for
from flask_admin import expose, helpers
from flask_admin.contrib import sqla
from flask_babel import Babel
from flask_sqlalchemy import SQLAlchemy
from werkzeug.security import check_password_hash, generate_password_hash
from wtforms import form, validators
from wtforms.fields import PasswordField, StringField

app = Flask(__name__)
app.config["SECRET_KEY"] = "an admin of a few people 4711"
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "sqlite:///staff.sqlite")
db = SQLAlchemy(app)
Babel(app)  # which Flask-Admin asks for its texts where it is installed


class User(db.Model):
    """No mixin: everything that a login needs is written out."""

    id = db.Column(db.Integer, primary_key=True)
    login = db.Column(db.String(80), unique=True)
    password = db.Column(db.String(256))

    @property
    def is_authenticated(self):
        return True

    @property
    def is_active(self):
        return True

    @property
    def is_anonymous(self):
        return False

    def get_id(self):
        return self.id


class LoginForm(form.Form):
    login = StringField(validators=[validators.InputRequired()])
    password = PasswordField(validators=[validators.InputRequired()])

    def validate_login(self, field):
        user = self.get_user()
        if user is None or not check_password_hash(user.password, self.password.data):
            raise validators.ValidationError("Nobody of that name and password")

    def get_user(self):
        return db.session.query(User).filter_by(login=self.login.data).first()


def init_login():
    login_manager = login.LoginManager()
    login_manager.init_app(app)

    @login_manager.user_loader
    def load_user(user_id):
        return db.session.get(User, user_id)


class StaffModelView(sqla.ModelView):
    column_exclude_list = ("password",)

    def is_accessible(self):
        return login.current_user.is_authenticated

    def inaccessible_callback(self, name, **kwargs):
        return redirect(url_for("admin.login_view", next=request.url))


class StaffIndexView(admin.AdminIndexView):
    @expose("/")
    def index(self):
        if not login.current_user.is_authenticated:
            return redirect(url_for(".login_view"))
        return super().index()

    @expose("/login/", methods=("GET", "POST"))
    def login_view(self):
        login_form = LoginForm(request.form)
        if helpers.validate_form_on_submit(login_form):
            login.login_user(login_form.get_user())
        if login.current_user.is_authenticated:
            return redirect(url_for(".index"))
        return f"Sign in here. {' '.join(map(str, login_form.errors.values()))}"

    @expose("/logout/")
    def logout_view(self):
        login.logout_user()
        return redirect(url_for(".index"))


init_login()
staff = admin.Admin(app, "Staff", index_view=StaffIndexView())
staff.add_view(StaffModelView(User, db.session))


def build_sample_db():
    db.create_all()
    db.session.add(User(login="admin", password=generate_password_hash("right", "pbkdf2:sha256:1")))
    db.session.commit()
