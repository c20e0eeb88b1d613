// The least that a gateway can do which chooses its upstream by what is asked, and counts what was used: it reads a
// request whole before it sends it on, and an answer whole before it replies. Of a stream it has the runtime move the
// bytes, and reads a copy at the end. No key, no routing, no price, no record.

export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (request.method !== "POST") return new Response("ok");
    const body = await request.arrayBuffer();
    const response = await fetch(env.UPSTREAM + pathname, { method: "POST", headers: request.headers, body });
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
    return isStream ? moved(response, context) : new Response(await response.arrayBuffer(), response);
  },
};

function moved(response, context) {
  const [out, copy] = response.body.tee();
  const { readable, writable } = new IdentityTransformStream();
  context.waitUntil(out.pipeTo(writable).then(() => new Response(copy).arrayBuffer()));
  return new Response(readable, response);
}
