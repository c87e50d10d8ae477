// The clients openid-client and oauth4webapi, with tokens that are bound to a key (RFC 9449):
//
//   node calls.mjs ISSUER AUDIENCE API MODE
//
// ISSUER is that of ../oidc-provider/server.mjs, which issues a JWT for AUDIENCE; API is the origin
// of a server that takes it. MODE is how that server was started: `allowed`, `nonces` (the issuer
// wants them too) or `required`.
//
// Prints a line of JSON for each check: [name, what was found, what is right].
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const [issuer, audience, api, mode] = process.argv.slice(2);
const [id, secret] = ['svc-basic', 'svc-basic-secret-that-is-long-enough-for-hs256'];
const form = { resource: audience, scope: 'read' };
const ALGORITHMS = ['ES256', 'ES384', 'Ed25519', 'PS256'];
const schemes = mode === 'required' ? ['dpop'] : ['bearer', 'dpop'];

const check = (name, found, right) => console.log(JSON.stringify([name, found, right]));

// What was sent to the API, the last last; or was on its way there, when a thief is on the line.
let [sent, isStolen] = [[], false];
const recording = async (url, init) => {
  if (!url.startsWith(api)) return fetch(url, init);
  sent.push({ url, init });
  return isStolen ? new Response('{}') : fetch(url, init);
};
const stolen = async (call) => {
  isStolen = true;
  await call();
  isStolen = false;
  return sent.at(-1);
};

// How each of them gets a token and calls. A key is what each of them keeps a key in.
const openidClient = async () => {
  const auth = openid.ClientSecretBasic(secret);
  const config = await openid.discovery(new URL(issuer), id, secret, auth, {
    execute: [openid.allowInsecureRequests],
    [openid.customFetch]: recording,
  });
  return {
    key: async (alg) => openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(alg)),
    token: (key) => openid.clientCredentialsGrant(config, form, { DPoP: key }),
    call: (token, method, url, body, key) =>
      openid.fetchProtectedResource(config, token, url, method, body, undefined, { DPoP: key }),
  };
};

// It leaves the second attempt to its user.
const again = async (attempt) => {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return attempt();
  }
};

const oauth4webapi = async () => {
  const more = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: recording };
  const at = new URL(issuer);
  const as = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, more));
  const client = { client_id: id };
  return {
    key: async (alg) => oauth.DPoP(client, await oauth.generateKeyPair(alg)),
    token: (key) => again(async () => {
      const auth = oauth.ClientSecretBasic(secret);
      const options = { ...more, DPoP: key };
      const answer = await oauth.clientCredentialsGrantRequest(as, client, auth, form, options);
      return oauth.processClientCredentialsResponse(as, client, answer);
    }),
    call: (token, method, url, body, key) => again(() => oauth.protectedResourceRequest(
      token, method, url, undefined, body, { ...more, DPoP: key },
    )),
  };
};

// The status, whose token it was, and how many requests it took.
const accepted = async (call) => {
  sent = [];
  const answer = await call();
  return [answer.status, (await answer.json()).principal.client_id, sent.length];
};

// The status, the scheme and code of the challenge that has one, the schemes of all.
const refused = async (call) => {
  try {
    return ['accepted', (await call()).status];
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    const codes = error.cause.filter((it) => it.parameters.error);
    return [
      error.status,
      codes.map((it) => `${it.scheme} ${it.parameters.error}`).join(),
      error.cause.map((it) => it.scheme),
    ];
  }
};

// The status and the code for a request that was stolen, sent by the thief with a change.
const replayed = async ({ url, init: { method, headers } }, { to = url, ...change } = {}) => {
  const answer = await fetch(to, { method, headers, ...change });
  const challenges = answer.headers.get('www-authenticate') ?? '';
  return [answer.status, /error="(\w+)"/.exec(challenges)?.[1]];
};

for (const [library, make] of Object.entries({ 'openid-client': openidClient, oauth4webapi })) {
  const client = await make();
  const url = new URL('/calls?a=1', api);
  const mine = [200, id, 1];
  for (const alg of ALGORITHMS) {
    const name = (what) => `${library}, ${mode}, ${alg}: ${what}`;
    const [key, other] = [await client.key(alg), await client.key(alg)];
    const { access_token: token, token_type: type } = await client.token(key);
    check(name('the type of the token'), type, 'dpop');
    const call = (method, body) => client.call(token, method, url, body, key);
    // It learns the nonce, and has it from then on.
    const first = mode === 'nonces' ? [200, id, 2] : mine;
    check(name('the first call'), await accepted(() => call('GET')), first);
    check(name('the second call'), await accepted(() => call('GET')), mine);
    check(name('a call with a body'), await accepted(() => call('POST', 'a=1')), mine);

    check(name('a stolen token, as Bearer'),
      await refused(() => client.call(token, 'GET', url)),
      [401, mode === 'required' ? '' : 'bearer invalid_token', schemes]);
    check(name('a stolen token, with another key'),
      await refused(() => client.call(token, 'GET', url, undefined, other)),
      [401, 'dpop invalid_token', schemes]);
    const request = await stolen(() => call('GET'));
    const headers = new Headers(request.init.headers);
    headers.set('authorization', `DPoP ${(await client.token(key)).access_token}`);
    for (const [what, change] of [
      ['method', { method: 'PUT' }], ['path', { to: `${api}/others` }], ['token', { headers }],
    ]) {
      const found = await replayed(request, change);
      check(name(`a proof for another ${what}`), found, [401, 'invalid_dpop_proof']);
    }
    check(name('a proof that came first'), (await replayed(request))[0], 200);
    check(name('a proof that came before'), await replayed(request), [401, 'invalid_dpop_proof']);
    check(name('the owner goes on'), await accepted(() => call('GET')), mine);
  }
  const { access_token: token, token_type: type } = await client.token();
  check(`${library}, ${mode}: the type of a token that is not bound`, type, 'bearer');
  const call = () => client.call(token, 'GET', url);
  if (mode === 'required') {
    check(`${library}, ${mode}: it is refused`, await refused(call), [401, '', schemes]);
  } else {
    check(`${library}, ${mode}: it is as good as ever`, await accepted(call), mine);
  }
}
