/** A phone's screen stays on while somebody speaks to it: once it is locked, the page hears nothing more. */

let wanted = false;
let asking = false;
let lock: WakeLockSentinel | null = null;

export async function stayAwake(on: boolean): Promise<void> {
  wanted = on;
  if (asking) return; // who asks looks at the wish again
  if (!on) return leave();
  if (lock && !lock.released) return;
  asking = true;
  try {
    lock = await navigator.wakeLock.request("screen");
  } catch {
    // An old browser, a low battery, a page in the background: the screen does as it always does.
  } finally {
    asking = false;
  }
  if (!wanted) leave();
}

function leave(): void {
  void lock?.release();
  lock = null;
}

// It goes where the page is hidden, and does not come back by itself.
document.addEventListener("visibilitychange", () => {
  if (wanted && !document.hidden) void stayAwake(true);
});
