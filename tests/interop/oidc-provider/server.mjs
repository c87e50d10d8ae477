// A certified OpenID provider (npm oidc-provider) as a peer.
//
// Environment:
//   PORT        loopback port; 0 (the default) takes a free one
//   ACCESS_TTL  lifetime of access tokens in seconds (default 600)
//   REALM       serve the paths of a Keycloak realm of this name:
//               /auth/realms/REALM/protocol/openid-connect/token and so on
//   TLS         a directory that ../tls/make.sh filled: a listener with TLS, on a free port,
//               that asks for certificates; discovery names it in mtls_endpoint_aliases
//   DPOP_NONCE  when set, DPoP proofs need a nonce; otherwise there are none
//   TLS_STRICT  when set, that listener ends a handshake without a certificate of its CA;
//               otherwise it lets everybody in and the provider judges
//
// Prints "READY <issuer>" once it listens; SIGTERM ends it. State is in memory; the keys that it
// signs with are made at each start.
//
// Clients; a secret is `ID-secret-that-is-long-enough-for-hs256` where none is named:
//   svc-basic          client_secret_basic
//   svc:odd %+/        client_secret_basic, secret `s p+%/:&=?~secret`: both need form-encoding
//   svc-post           client_secret_post
//   svc-secret-jwt     client_secret_jwt, HS256
//   svc-key-jwt-rs256, svc-key-jwt-es256, svc-key-jwt-eddsa
//                      private_key_jwt with that key of client-keys.json
//   svc-tls            tls_client_auth: a certificate of the CA with the name svc-tls
//   svc-tls-bound      the same with its own name; its tokens are bound to the certificate
//   svc-tls-self       self_signed_tls_client_auth: svc-tls-self.pem itself
//   rs                 client_secret_basic, a resource server: no grant; introspects and revokes
//   rs-tls             tls_client_auth, the same
//   app                public and native: code + PKCE, refresh token with rotation, device code;
//                      redirect URI http://127.0.0.1:ANY/callback
//   app-tls            the same; its tokens are bound to the certificate that it shows, of any CA
// Those named tls are there where TLS is set. Those named svc have the client credentials grant. Any
// user name and password log in.
//
// Scopes: read, write; openid and offline_access for `app`, whose tokens have a refresh token.
//
// Resources (RFC 8707), each with the scopes read and write:
//   urn:rs:jwt:rs256, urn:rs:jwt:es256, urn:rs:jwt:ed25519, urn:rs:jwt:eddsa
//                      RFC 9068 JWTs signed so; the last two differ in the name of one algorithm
//   urn:rs:opaque      opaque tokens, as without any resource
// A code or a refresh token that is shown without the resource gives a token for userinfo.
import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import * as path from 'node:path';
import { promisify } from 'node:util';

import Provider, { errors } from 'oidc-provider';

const env = process.env;
const ttl = Number(env.ACCESS_TTL ?? 600);

const generate = promisify(crypto.generateKeyPair);
const jwk = (key, more) => ({ ...key.export({ format: 'jwk' }), use: 'sig', ...more });
const [rsa, ec, okp] = (await Promise.all([
  generate('rsa', { modulusLength: 2048 }),
  generate('ec', { namedCurve: 'P-256' }),
  generate('ed25519'),
])).map((pair) => pair.privateKey);

// Private keys, of use to nobody: the clients that have them exist in these tests alone.
const clientKeys = JSON.parse(fs.readFileSync(new URL('client-keys.json', import.meta.url))).keys;
const publicHalf = ({ kid, alg, ...key }) => jwk(
  crypto.createPublicKey({ key, format: 'jwk' }),
  { kid, alg },
);

// Keycloak's paths. (Its tokens and errors are not imitated.)
const mount = env.REALM ? `/auth/realms/${env.REALM}` : '';
const kc = '/protocol/openid-connect';
const routes = env.REALM && {
  authorization: `${kc}/auth`,
  token: `${kc}/token`,
  introspection: `${kc}/token/introspect`,
  revocation: `${kc}/revoke`,
  jwks: `${kc}/certs`,
  userinfo: `${kc}/userinfo`,
  device_authorization: `${kc}/auth/device`,
};

const scopes = 'read write';
const machine = (id, method, more) => ({
  client_id: id,
  client_secret: `${id}-secret-that-is-long-enough-for-hs256`,
  token_endpoint_auth_method: method,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope: scopes,
  ...more,
});
const clients = [
  machine('svc-basic', 'client_secret_basic'),
  machine('svc-post', 'client_secret_post'),
  machine('svc-secret-jwt', 'client_secret_jwt'),
  ...clientKeys.map((key) => machine(`svc-key-jwt-${key.kid}`, 'private_key_jwt', {
    client_secret: undefined,
    token_endpoint_auth_signing_alg: key.alg,
    jwks: { keys: [publicHalf(key)] },
  })),
  // RFC 6749 section 2.3.1: both parts are form-encoded before base64.
  machine('svc:odd %+/', 'client_secret_basic', { client_secret: 's p+%/:&=?~secret' }),
  // A resource server that introspects, and may revoke what it is shown.
  machine('rs', 'client_secret_basic', { grant_types: [] }),
  // A public native application: code + PKCE, refresh with rotation, device.
  {
    client_id: 'app',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: [
      'authorization_code', 'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
    ],
    redirect_uris: ['http://127.0.0.1/callback'], // any port, RFC 8252
    response_types: ['code'],
    scope: `openid offline_access ${scopes}`,
  },
];

const pem = (name) => fs.readFileSync(path.join(env.TLS, name));
if (env.TLS) {
  const byName = (id, more) => machine(id, 'tls_client_auth', {
    client_secret: undefined,
    tls_client_auth_subject_dn: `CN=${id}`,
    ...more,
  });
  const self = new crypto.X509Certificate(pem('svc-tls-self.pem'));
  clients.push(
    {
      ...clients.find((client) => client.client_id === 'app'),
      client_id: 'app-tls',
      tls_client_certificate_bound_access_tokens: true,
    },
    byName('svc-tls'),
    byName('svc-tls-bound', { tls_client_certificate_bound_access_tokens: true }),
    byName('rs-tls', { grant_types: [] }),
    machine('svc-tls-self', 'self_signed_tls_client_auth', {
      client_secret: undefined,
      jwks: { keys: [jwk(self.publicKey, { x5c: [self.raw.toString('base64')] })] },
    }),
  );
}
// What the handshake showed; a connection without TLS shows nothing.
const mTLS = {
  enabled: true,
  certificateBoundAccessTokens: true,
  selfSignedTlsClientAuth: true,
  tlsClientAuth: true,
  getCertificate: ({ socket }) => socket.encrypted && socket.getPeerX509Certificate(),
  certificateAuthorized: ({ socket }) => socket.authorized,
  certificateSubjectMatches: ({ socket }, property, expected) =>
    property === 'tls_client_auth_subject_dn'
    && socket.getPeerX509Certificate().subject === expected,
};

const signed = (alg) => ({ accessTokenFormat: 'jwt', jwt: { sign: { alg } } });
const resources = {
  'urn:rs:jwt:rs256': signed('RS256'),
  'urn:rs:jwt:es256': signed('ES256'),
  'urn:rs:jwt:ed25519': signed('Ed25519'),
  'urn:rs:jwt:eddsa': signed('EdDSA'),
  'urn:rs:opaque': { accessTokenFormat: 'opaque' },
};

const configuration = {
  clients,
  ...(routes ? { routes } : {}),
  scopes: ['openid', 'offline_access', ...scopes.split(' ')],
  jwks: {
    keys: [
      jwk(rsa, { kid: 'rsa-1', alg: 'RS256' }),
      jwk(ec, { kid: 'ec-1', alg: 'ES256' }),
      jwk(okp, { kid: 'okp-1' }), // no `alg`: it signs under both names
    ],
  },
  cookies: { keys: [crypto.randomBytes(16).toString('hex')] },
  // userinfo is itself a resource server: header, form body and query.
  acceptQueryParamAccessTokens: true,
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: {
    AccessToken: ttl,
    ClientCredentials: ttl,
    AuthorizationCode: 60,
    DeviceCode: 300,
    Grant: 3600,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_post', 'client_secret_jwt',
    'private_key_jwt', 'none',
    ...(env.TLS ? ['tls_client_auth', 'self_signed_tls_client_auth'] : []),
  ],
  clientBasedCORS: () => true,
  enabledJWA: { dPoPSigningAlgValues: ['ES256', 'ES384', 'Ed25519', 'EdDSA', 'PS256'] },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true }, // any user name and password log in
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true, allowedPolicy: () => true },
    ...(env.TLS ? { mTLS } : {}),
    ...(env.DPOP_NONCE ? {
      dPoP: { enabled: true, nonceSecret: crypto.randomBytes(32), requireNonce: () => true },
    } : {}),
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo(_ctx, resource) {
        const found = Object.hasOwn(resources, resource) && resources[resource];
        if (!found) throw new errors.InvalidTarget();
        return { scope: scopes, audience: resource, accessTokenTTL: ttl, ...found };
      },
    },
  },
};

// The issuer names the port, and the metadata that of TLS, so both sockets are bound before the
// provider exists.
const bound = (server, port) => new Promise((resolve) => {
  server.listen(port, '127.0.0.1', () => resolve(server.address().port));
});
const servers = [http.createServer()];
const issuer = `http://127.0.0.1:${await bound(servers[0], Number(env.PORT ?? 0))}${mount}`;
if (env.TLS) {
  const server = https.createServer({
    ca: pem('ca.pem'),
    cert: pem('server.pem'),
    key: pem('server.key'),
    requestCert: true,
    rejectUnauthorized: Boolean(env.TLS_STRICT),
  });
  servers.push(server);
  const alias = `https://127.0.0.1:${await bound(server, 0)}${mount}`;
  configuration.discovery = {
    mtls_endpoint_aliases: {
      token_endpoint: alias + (routes?.token ?? '/token'),
      introspection_endpoint: alias + (routes?.introspection ?? '/token/introspection'),
      revocation_endpoint: alias + (routes?.revocation ?? '/token/revocation'),
    },
  };
}
const provider = new Provider(issuer, configuration);
provider.on('server_error', (_ctx, error) => console.error(error));
const handle = provider.callback();
for (const server of servers) {
  server.on('request', (request, response) => {
    if (mount) {
      // As a framework does that mounts an application under a path.
      if (!request.url.startsWith(`${mount}/`)) return response.writeHead(404).end();
      request.originalUrl = request.url;
      request.url = request.url.slice(mount.length);
    }
    return handle(request, response);
  });
}
console.log(`READY ${issuer}`);
process.on('SIGTERM', () => process.exit(0));
