// Says that the branch on show has moved since its page was made. Pages are whole without it.
const note = document.getElementById("moved");
if (note && window.EventSource) {
  const events = new EventSource(note.dataset.events);
  events.addEventListener("moved", (event) => {
    const moved = JSON.parse(event.data).refs.find((ref) => ref.name === note.dataset.ref);
    if (!moved || moved.id === note.dataset.commit) return;
    note.hidden = false;
    events.close();
  });
  addEventListener("pagehide", () => events.close());
}
