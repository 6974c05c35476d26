// Where photos come from: a file that is dropped, pasted or picked, or the camera's frames.

const NO_FILE = "There is no photo in what was dropped or pasted.\nTry a JPEG, PNG or WebP from a folder.";

/**
 * @param {object} page
 * @param {HTMLInputElement} page.input of files
 * @param {HTMLButtonElement} page.camera
 * @param {(file: Blob, name: string) => void} page.onFile
 * @param {(isOn: boolean) => void} page.onCamera when it starts and when it ends
 * @param {(frame: ImageBitmap) => Promise<boolean>} page.onFrame resolved when the next frame is wanted, or none
 * @param {(text: string) => void} page.onProblem
 * @returns {{ stopCamera: () => void }}
 */
export function listenForPhotos({ input, camera, onFile, onCamera, onFrame, onProblem }) {
  const { start, stop } = cameraOf(camera, { onCamera, onFrame, onProblem });
  const take = (/** @type {FileList | File[] | null | undefined} */ files) => {
    const file = [...(files ?? [])].find((each) => !each.type || each.type.startsWith("image/"));
    if (!file) return onProblem(NO_FILE);
    stop();
    return onFile(file, file.name || "pasted photo");
  };
  input.addEventListener("change", () => {
    if (input.files?.length) take(input.files);
    input.value = ""; // so that the same file can be picked again
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take(event.dataTransfer?.files);
  });
  addEventListener("paste", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.type === "search") return;
    take(event.clipboardData?.files);
  });
  camera.addEventListener("click", () => (camera.ariaPressed === "true" ? stop() : start()));
  if (!navigator.mediaDevices) camera.hidden = true; // not in a secure context
  return { stopCamera: stop };
}

/**
 * @param {HTMLButtonElement} button
 * @param {object} page
 * @param {(isOn: boolean) => void} page.onCamera
 * @param {(frame: ImageBitmap) => Promise<boolean>} page.onFrame
 * @param {(text: string) => void} page.onProblem
 */
function cameraOf(button, { onCamera, onFrame, onProblem }) {
  /** @type {MediaStream | null} */
  let stream = null;
  let isAsked = false;
  const stop = () => {
    if (!stream) return;
    for (const track of stream.getTracks()) track.stop();
    stream = null;
    button.ariaPressed = "false";
    button.textContent = "Camera";
    onCamera(false);
  };
  const start = async () => {
    if (isAsked) return undefined; // the visitor has not allowed it yet
    isAsked = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    } catch (error) {
      return onProblem(`The camera can't be used: ${error instanceof Error ? error.message : error}`);
    } finally {
      isAsked = false;
    }
    const running = stream;
    for (const track of running.getTracks()) track.addEventListener("ended", stop); // as when it is unplugged
    button.ariaPressed = "true";
    button.textContent = "Stop the camera";
    onCamera(true);
    const video = document.createElement("video");
    video.muted = true;
    video.playsInline = true;
    video.srcObject = running;
    try {
      await video.play();
      // What fails once would fail for every picture.
      while (stream === running) if (!(await onFrame(await createImageBitmap(video)))) stop();
    } catch (error) {
      if (stream === running) onProblem(`The camera's picture can't be read: ${error instanceof Error ? error.message : error}`);
      stop();
    }
    video.srcObject = null;
    return undefined;
  };
  return { start, stop };
}
