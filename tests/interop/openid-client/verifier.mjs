// A resource server that oauth4webapi guards: JWTs whose DPoP proof is good (RFC 9449), no others.
//
//   node verifier.mjs ISSUER AUDIENCE
//
// Prints "READY <origin>" once it listens; SIGTERM ends it. It answers 200 with the token's claims,
// or 401 with what was wrong. oauth4webapi itself keeps no `jti` and knows no nonces: both are added
// here, the nonces for paths under /nonces. One is good for three requests.
import * as http from 'node:http';

import * as oauth from 'oauth4webapi';

const [issuer, audience] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const at = new URL(issuer);
const as = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, insecure));

const claimsOf = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
const seen = new Set();
let [nonce, uses] = ['first', 0];

const judge = async (request) => {
  const options = { ...insecure, requireDPoP: true };
  const claims = await oauth.validateJwtAccessToken(as, request, audience, options);
  const proof = claimsOf(request.headers.get('dpop'));
  if (new URL(request.url).pathname.startsWith('/nonces')) {
    if (proof.nonce !== nonce) throw Object.assign(new Error('nonce'), { error: 'use_dpop_nonce' });
    uses += 1;
    if (uses === 3) [nonce, uses] = [crypto.randomUUID(), 0];
  }
  if (seen.has(proof.jti)) throw new Error('seen before');
  seen.add(proof.jti);
  return claims;
};

const server = http.createServer(async ({ method, url, headers }, response) => {
  const request = new Request(`${origin}${url}`, { method, headers });
  try {
    const claims = await judge(request);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(claims));
  } catch ({ error = 'invalid_token', message }) {
    response.writeHead(401, {
      'www-authenticate': `DPoP error="${error}", algs="ES256 ES384 Ed25519 PS256"`,
      ...(error === 'use_dpop_nonce' ? { 'dpop-nonce': nonce } : {}),
    }).end(message);
  }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
console.log(`READY ${origin}`);
process.on('SIGTERM', () => process.exit(0));
