// River UI shows why a retry was refused, and of any other change that is refused an
// empty page. This says why, and shows the page as it is.
"use strict";
{
  const ask = window.fetch;
  window.fetch = async (input, init) => {
    const answer = await ask(input, init);
    if (answer.ok || (init?.method ?? "GET") === "GET" || String(input).endsWith("/api/jobs/retry")) {
      return answer;
    }
    let reason = `The change was refused (status ${answer.status}).`;
    try {
      reason = (await answer.json()).message ?? reason;
    } catch {
      // A proxy's answer, which has no reason that we know how to read.
    }
    window.alert(reason);
    window.location.reload();
    return new Promise(() => {}); // nobody waits for it any more
  };
}
