"""What happens, and must happen the same whatever stands behind flask_login."""

from roles import User, app, db

if __name__ == "__main__":
    with app.app_context():
        db.create_all()
        db.session.add_all([User(role="admin"), User(role="reader")])
        db.session.commit()
    client = app.test_client()
    assert client.get("/admin").status_code == 401
    client.get("/login/2")
    assert client.get("/admin").status_code == 403
    client.get("/login/1")
    assert client.get("/admin").text == "admin"
    client.get("/logout")
    assert client.get("/admin").status_code == 401
    print("the end")
