// Lets a security key or passkey answer: reads the question from the form, asks the browser, and sends the answer as the
// form's own fields. The site checks everything; nothing is decided here.
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
const toText = (buffer) => {
  const signs = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(signs).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

function asked(form) {
  const known = form.dataset.known.split(" ").filter(Boolean).map((id) => ({ type: "public-key", id: toBytes(id) }));
  const common = { challenge: toBytes(form.dataset.challenge), timeout: 240000 };
  if (form.dataset.key === "get") {
    return { ...common, rpId: form.dataset.site, allowCredentials: known, userVerification: "preferred" };
  }
  const { site, handle, account, algorithms } = form.dataset;
  return {
    ...common,
    rp: { id: site, name: site },
    user: { id: toBytes(handle), name: account, displayName: account },
    pubKeyCredParams: algorithms.split(" ").map((alg) => ({ type: "public-key", alg: Number(alg) })),
    excludeCredentials: known,
    authenticatorSelection: { userVerification: "preferred" },
    attestation: "none",
  };
}

function fill(form, credential) {
  const fields = form.elements;
  const answer = credential.response;
  fields.client_data.value = toText(answer.clientDataJSON);
  if (form.dataset.key === "create") {
    fields.attestation.value = toText(answer.attestationObject);
    return;
  }
  fields.credential.value = toText(credential.rawId);
  fields.authenticator_data.value = toText(answer.authenticatorData);
  fields.signature.value = toText(answer.signature);
}

for (const form of document.querySelectorAll("form[data-key]")) {
  const state = form.querySelector("[data-key-state]");
  const button = form.querySelector("button");
  if (!window.PublicKeyCredential) {
    state.textContent = "This browser cannot use security keys here.";
    continue;
  }
  state.textContent = "";
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    state.textContent = "Waiting for the key…";
    try {
      const options = { publicKey: asked(form) };
      const ask = form.dataset.key === "create" ? "create" : "get";
      fill(form, await navigator.credentials[ask](options));
      form.submit();
    } catch (error) {
      state.textContent = error.name === "InvalidStateError"
        ? "This key is known here already. Use another one."
        : "The key did not answer. Try again, or go another way.";
      button.disabled = false;
    }
  });
}
