"""django-oauth-toolkit (over oauthlib) as a peer: one server that is both an
authorization server and a resource server.

Environment:
  PORT        loopback port; 0 (the default) takes a free one
  ACCESS_TTL  lifetime of access tokens in seconds (default 600)

Prints "READY <address>" once it listens; SIGTERM ends it. State is a fresh
SQLite file in a temporary directory, removed at the end; the key that it signs
with is made at each start.

  POST /token/ /revoke_token/ /introspect/ /device-authorization/
  GET  /authorize/ /device/ /userinfo/ /.well-known/jwks.json
  GET  /.well-known/oauth-authorization-server   RFC 8414
  GET  /.well-known/oauth-protected-resource     RFC 9728
  any  /api/read /api/admin      a token with scope `read`, with `admin`

User name and password at an endpoint of its own kind, which is not OAuth
(djangorestframework-simplejwt, and the framework's own token):
  POST /jwt/ {username, password}: {access, refresh};  POST /jwt/refresh/ {refresh}
  POST /drf-token/ {username, password}: {token}
  any  /api/jwt (Authorization: Bearer), /api/drf (Authorization: Token)
The first in the members of OAuth, as a platform with a log-in endpoint answers:
  POST /authorization {username, password}: {token_type, access_token, expires_in}

The user is alice, password `alice`. Clients; a confidential one has the secret
ID-secret, in a Basic header or in the body:
  svc    confidential, client credentials
  rs     confidential, client credentials; introspects with a token of its own
         with the scope `introspection`, or with its secret
  ropc   confidential, password grant
  app    public, code + PKCE and refresh with rotation;
         redirect URI http://127.0.0.1:9999/callback (nobody listens there)
  tv     public, device code

Scopes: openid, read (the default), write, admin, introspection. A token is
opaque.
"""

import os
import signal
import socket
import sys
import tempfile
from datetime import timedelta

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

STATE = tempfile.TemporaryDirectory(prefix="interop-django-")
LISTENER = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "0"))))
BASE = f"http://127.0.0.1:{LISTENER.getsockname()[1]}"
LIFE = int(os.environ.get("ACCESS_TTL", "600"))
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

settings.configure(
    SECRET_KEY=os.urandom(32).hex(),
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    LOGIN_URL="/login/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "oauth2_provider",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": timedelta(seconds=LIFE),
        "REFRESH_TOKEN_LIFETIME": timedelta(hours=1),
        "ROTATE_REFRESH_TOKENS": True,
    },
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    LOGGING={
        "version": 1,
        "handlers": {"stderr": {"class": "logging.StreamHandler"}},
        "loggers": {"django.request": {"handlers": ["stderr"], "level": "ERROR"}},
    },
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # quick
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(STATE.name, "db.sqlite3"),
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    },
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": LIFE,
        "SCOPES": {
            "openid": "OpenID",
            "read": "read",
            "write": "write",
            "admin": "admin",
            "introspection": "introspection",
        },
        "DEFAULT_SCOPES": ["read"],
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "OAUTH_DEVICE_VERIFICATION_URI": f"{BASE}/device/",
        "DEVICE_FLOW_INTERVAL": 1,
    },
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.auth import views as auth_views  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from oauth2_provider.decorators import protected_resource_metadata  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from rest_framework import decorators as drf  # noqa: E402
from rest_framework.authentication import TokenAuthentication  # noqa: E402
from rest_framework.authtoken.views import obtain_auth_token  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework_simplejwt.authentication import JWTAuthentication  # noqa: E402
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer  # noqa: E402
from rest_framework_simplejwt.views import (  # noqa: E402
    TokenObtainPairView,
    token_obtain_pair,
    token_refresh,
)

LOGIN_PAGE = "<form method=post>{% csrf_token %}{{ form }}<button>in</button></form>"


class Login(auth_views.LoginView):
    def render_to_response(self, context, **_):
        page = engines["django"].from_string(LOGIN_PAGE)
        return HttpResponse(page.render(context, self.request))


class LogInSerializer(TokenObtainPairSerializer):
    def validate(self, attrs):
        token = super().validate(attrs)["access"]
        return {"token_type": "Bearer", "access_token": token, "expires_in": LIFE}


def api(scope):
    @csrf_exempt
    @protected_resource_metadata(scopes=[scope])
    def view(request):
        owner = request.resource_owner
        return JsonResponse({"scope": scope, "user": owner and owner.get_username()})

    return view


def drf_api(authentication):
    @drf.api_view(["GET", "POST"])
    @drf.authentication_classes([authentication])
    @drf.permission_classes([IsAuthenticated])
    def view(request):
        return Response({"user": request.user.get_username()})

    return view


urlpatterns = [
    path("authorization", TokenObtainPairView.as_view(serializer_class=LogInSerializer)),
    path("jwt/", token_obtain_pair),
    path("jwt/refresh/", token_refresh),
    path("drf-token/", obtain_auth_token),
    path("api/jwt", drf_api(JWTAuthentication)),
    path("api/drf", drf_api(TokenAuthentication)),
    path("login/", Login.as_view()),
    path("api/read", api("read")),
    path("api/admin", api("admin")),
    path("", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


def fill():
    """The user alice (password: alice) and one client for each grant."""
    call_command("migrate", verbosity=0)
    alice = get_user_model().objects.create_user("alice", password="alice")
    application = get_application_model()
    code = "authorization-code"
    device = "urn:ietf:params:oauth:grant-type:device_code"
    for name, kind, grant in [
        ("svc", "confidential", "client-credentials"),  # Basic or in the body
        ("rs", "confidential", "client-credentials"),  # may introspect
        ("ropc", "confidential", "password"),
        ("app", "public", code),
        ("tv", "public", device),
    ]:
        application.objects.create(
            name=name,
            client_id=name,
            client_secret=f"{name}-secret" if kind == "confidential" else "",
            client_type=kind,
            authorization_grant_type=grant,
            redirect_uris="http://127.0.0.1:9999/callback" if grant == code else "",
            algorithm="RS256" if grant == code else "",
            user=alice,
        )


def main():
    from waitress import create_server

    fill()
    server = create_server(get_wsgi_application(), sockets=[LISTENER], threads=8)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"READY {BASE}", flush=True)
    try:
        server.run()
    finally:
        STATE.cleanup()


if __name__ == "__main__":
    main()
