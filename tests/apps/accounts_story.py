"""What happens, and must happen the same whatever stands behind flask_login."""

from accounts import app, make_account

if __name__ == "__main__":
    with app.app_context():
        make_account("susan@example.com", "a cat that talks")
    client = app.test_client()
    assert client.get("/").location == "/login?next=/"
    assert client.post("/login", data={"email": "susan@example.com", "password": "wrong"}).status_code == 200
    assert client.get("/").status_code == 302
    right = {"email": "susan@example.com", "password": "a cat that talks"}
    assert client.post("/login?next=/", data=right).location == "/"
    assert client.get("/").text == "susan@example.com"
    client.post("/logout")
    assert client.get("/").status_code == 302
    print("the end")
