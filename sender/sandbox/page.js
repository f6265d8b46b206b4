const main = document.getElementById("main"), live = document.getElementById("live");
let shown = main.innerHTML;
async function refresh() {
  try {
    const reply = await fetch("/", { cache: "no-store" });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const next = page.getElementById("main").innerHTML;
    if (next !== shown) { main.innerHTML = next; shown = next; }
    live.textContent = "live"; live.className = "live";
  } catch {
    live.textContent = "stopped"; live.className = "live gone";
  }
}
setInterval(() => { if (!document.hidden) refresh(); }, 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
