"""What happens on the blog, and must happen the same whatever stands behind flask_login."""

import re
import sys
from pathlib import Path

import flask_migrate
import sqlalchemy as sa
from microblog import Config, create_app, db
from microblog.models import User


class Browser:
    """Fills in forms as a person does, the hidden token included."""

    def __init__(self, app):
        self.client = app.test_client()

    def get(self, path, **options):
        return self.client.get(path, **options)

    def send(self, path, **fields):
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(path).text)
        return self.client.post(path, data={"csrf_token": token and token.group(1), **fields})

    def sign_in(self, username, path="/auth/login", **fields):
        return self.send(path, username=username, password=f"{username}'s password", **fields)


def migrated(app):
    """`flask db init`, `migrate`, `upgrade`."""
    folder = str(Path(sys.argv[1]) / "migrations")
    with app.app_context():
        flask_migrate.init(folder)
        flask_migrate.migrate(folder, message="all tables")
        flask_migrate.upgrade(folder)
    return app


def sign_up(app, username):
    password = f"{username}'s password"
    answer = Browser(app).send("/auth/register", username=username, password=password, password2=password)
    assert answer.location == "/auth/login"


def people_sign_in_and_out(app):
    sign_up(app, "susan")
    browser = Browser(app)
    answer = browser.get("/index")
    assert (answer.status_code, answer.location) == (302, "/auth/login?next=%2Findex"), answer.location
    assert '<p class="info">Please sign in to see this page.</p>' in browser.get("/auth/login").text
    assert browser.send("/auth/login", username="susan", password="wrong").location == "/auth/login"
    assert "Name or password is wrong." in browser.get("/auth/login").text
    assert browser.sign_in("susan", "/auth/login?next=/edit_profile").location == "/edit_profile"
    assert "Hello, susan!" in browser.get("/").text
    assert browser.get("/auth/login").location == "/index"
    assert browser.get("/auth/password").text == "your new password, please"
    assert browser.get("/auth/logout").location == "/index"
    assert browser.get("/").status_code == 302


def they_write(app):
    browser = Browser(app)
    browser.sign_in("susan", remember_me="y")
    assert browser.send("/", post="a beautiful day").location == "/index"
    assert "susan says: a beautiful day" in browser.get("/").text
    assert browser.send("/edit_profile", username="sue", about_me="I write").location == "/edit_profile"
    profile = browser.get("/user/sue").text
    assert "I write" in profile
    assert "Edit your profile" in profile
    assert browser.get("/user/nobody").status_code == 404
    with app.app_context():
        assert db.session.scalar(sa.select(User)).last_seen is not None


def forms_without_their_token_are_refused(app):
    assert app.test_client().post("/auth/login", data={"username": "sue"}).status_code == 400


def its_own_tests_run():
    """In memory: models under a pushed context, pages with a login written by the test."""

    class TestConfig(Config):
        TESTING = True
        SQLALCHEMY_DATABASE_URI = "sqlite://"
        WTF_CSRF_ENABLED = False

    app = create_app(TestConfig)
    context = app.app_context()
    context.push()
    db.create_all()
    user = User(username="john")
    user.set_password("cat")
    db.session.add(user)
    db.session.commit()
    assert user.check_password("cat")
    login = {"_user_id": str(user.id), "_fresh": True}
    context.pop()  # under it Flask-Login would keep who it found for all requests
    client = app.test_client()
    assert client.get("/index").status_code == 302
    with client.session_transaction() as session:
        session.update(login)
    assert "Hello, john!" in client.get("/index").text
    client.get("/auth/logout")
    assert client.get("/index").status_code == 302
    answer = client.post("/auth/login", data={"username": "john", "password": "cat"}, follow_redirects=True)
    assert "Hello, john!" in answer.text
    with app.app_context():
        db.session.remove()
        db.drop_all()


if __name__ == "__main__":
    blog = migrated(create_app())
    people_sign_in_and_out(blog)
    they_write(blog)
    forms_without_their_token_are_refused(blog)
    its_own_tests_run()
    print("the end")
