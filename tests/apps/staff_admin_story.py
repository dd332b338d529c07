"""What happens in the admin, and must happen the same whatever stands behind flask_login."""

from staff_admin import app, build_sample_db

if __name__ == "__main__":
    with app.app_context():
        build_sample_db()
    client = app.test_client()
    assert client.get("/admin/").location == "/admin/login/"
    assert client.get("/admin/user/").location.startswith("/admin/login/?next=")
    assert "Nobody of that name" in client.post("/admin/login/", data={"login": "admin", "password": "wrong"}).text
    assert client.post("/admin/login/", data={"login": "admin", "password": "right"}).location == "/admin/"
    assert client.get("/admin/").status_code == 200
    listed = client.get("/admin/user/")
    assert listed.status_code == 200
    assert "admin" in listed.text
    edited = client.post("/admin/user/edit/?id=1", data={"login": "boss", "password": "x"})
    assert edited.status_code == 302, edited.status_code
    assert "boss" in client.get("/admin/user/").text
    client.get("/admin/logout/")
    assert client.get("/admin/").location == "/admin/login/"
    print("the end")
