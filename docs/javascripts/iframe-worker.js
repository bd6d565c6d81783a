// The search runs in a worker. A page that is opened from the disk may start none: it runs in a frame.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.hears = (data) => this.onmessage?.({ data });
      this.frame.srcdoc =
        "<script>self.postMessage = (data) => self.frameElement.hears(data)</script>" +
        `<script src="${url}"></script>`;
      this.loaded = new Promise((loaded) => this.frame.addEventListener("load", loaded));
      document.body.append(this.frame);
    }

    async postMessage(data) {
      await this.loaded;
      this.frame.contentWindow?.onmessage({ data });
    }

    terminate() {
      this.frame.remove();
    }
  };
}
