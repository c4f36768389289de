// What a person does in Thunderbird, and what they see there.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

const acts = {
  async until(probe) {
    for (;;) {
      const answer = await probe();
      if (answer) {
        return answer;
      }
      await new Promise(resolve => window.setTimeout(resolve, 50));
    }
  },

  ready() {
    return acts.until(() => document.readyState == "complete" && !!window.openAccountHub);
  },

  // --- the assistant for a new account -----------------------------------------------------------------------------

  hub() {
    return document.querySelector("account-hub-container")?.modal.querySelector("account-hub-email");
  },

  type(field, text) {
    field.focus();
    field.value = text;
    field.dispatchEvent(new window.InputEvent("input", { bubbles: true }));
  },

  // Press the button that goes on, once it can be pressed.
  async forward() {
    const button = await acts.until(() => {
      const found = acts.hub().querySelector("account-hub-footer #forward");
      return found && !found.disabled && !found.hidden && found;
    });
    button.click();
  },

  // The step of the assistant that can be seen, and what it says.
  async step(id) {
    return acts.until(() => {
      const found = acts.hub()?.querySelector(`#${id}`);
      return found && !found.hidden && { text: found.textContent.replace(/\s+/g, " ").trim() };
    });
  },

  async hubOpen(name, address) {
    const { DNS } = ChromeUtils.importESModule("resource:///modules/DNS.sys.mjs");
    DNS.lookup = () => Promise.reject(new Error("this machine is all there is"));
    await window.openAccountHub("MAIL");
    await acts.step("emailAutoConfigSubview");
    acts.type(acts.hub().querySelector("#realName"), name);
    acts.type(acts.hub().querySelector("#emailAutoConfigSubview #email"), address);
  },

  async hubFound() {
    await acts.forward();
    return acts.step("emailConfigFoundSubview");
  },

  async hubPassword(password) {
    await acts.forward();
    await acts.step("emailPasswordSubview");
    acts.type(acts.hub().querySelector("#emailPasswordSubview #password"), password);
  },

  async hubDone() {
    await acts.forward();
    return acts.step("emailAddedSuccessSubview");
  },

  async hubClose() {
    await acts.forward();
    await acts.until(() => !document.querySelector("account-hub-container").modal.open);
  },

  // --- what is set up ----------------------------------------------------------------------------------------------

  account(address) {
    return MailServices.accounts.accounts.find(one => one.incomingServer.username == address);
  },

  settings(address) {
    const { incomingServer: incoming, defaultIdentity: identity } = acts.account(address);
    const outgoing = MailServices.outgoingServer.getServerByKey(identity.smtpServerKey);
    return {
      name: identity.fullName,
      email: identity.email,
      incoming: [incoming.type, incoming.hostname, incoming.port, incoming.socketType, incoming.username],
      outgoing: [
        outgoing.type,
        outgoing.serverURI.host,
        outgoing.serverURI.port,
        outgoing.socketType,
        outgoing.username,
      ],
      sent: acts.path(MailServices.folderLookup.getFolderForURL(identity.fccFolderURI)),
      drafts: acts.path(MailServices.folderLookup.getFolderForURL(identity.draftsFolderURI)),
      archive: acts.path(MailServices.folderLookup.getFolderForURL(identity.archivesFolderURI)),
    };
  },

  prefer(name, value) {
    Services.prefs.setStringPref(name, value);
  },

  // A tag, as "Settings, General, Tags, New" makes it: its key is its name in small letters.
  tag(name, colour) {
    MailServices.tags.addTag(name, colour, "z"); // behind the usual ones, which have their numbers
  },

  // --- folders -----------------------------------------------------------------------------------------------------

  path(folder) {
    const names = [];
    for (let one = folder; one && !one.isServer; one = one.parent) {
      names.unshift(one.name);
    }
    return names.join("/");
  },

  folder(address, path) {
    const root = acts.account(address).incomingServer.rootFolder;
    return acts.until(() => root.descendants.find(one => acts.path(one) == path));
  },

  // Each folder with what it is for, as the folder pane shows it.
  folders(address) {
    const uses = {
      Inbox: Ci.nsMsgFolderFlags.Inbox,
      Drafts: Ci.nsMsgFolderFlags.Drafts,
      Sent: Ci.nsMsgFolderFlags.SentMail,
      Trash: Ci.nsMsgFolderFlags.Trash,
      Archive: Ci.nsMsgFolderFlags.Archive,
      Junk: Ci.nsMsgFolderFlags.Junk,
    };
    const found = {};
    for (const folder of acts.account(address).incomingServer.rootFolder.descendants) {
      found[acts.path(folder)] = Object.keys(uses).filter(use => folder.getFlag(uses[use]));
    }
    return found;
  },

  get panes() {
    return document.getElementById("tabmail").currentAbout3Pane;
  },

  // Click on a folder, and wait until its messages can be seen.
  async show(address, path) {
    const folder = await acts.folder(address, path);
    acts.panes.displayFolder(folder.URI);
    await acts.until(() => acts.panes.gFolder == folder && acts.panes.gDBView?.msgFolder == folder);
  },

  // What a person sees in the list of the folder that is shown.
  rows() {
    const view = acts.panes.gDBView;
    const rows = [];
    for (let row = 0; row < view.rowCount; row++) {
      rows.push(acts.seen(view.getMsgHdrAt(row)));
    }
    return rows;
  },

  seen(header) {
    return {
      subject: header.mime2DecodedSubject,
      from: header.mime2DecodedAuthor,
      id: header.messageId,
      uid: header.messageKey,
      read: header.isRead,
      flagged: header.isFlagged,
      keywords: header.getStringProperty("keywords").split(" ").filter(Boolean).sort(),
    };
  },

  // Wait until the folder that is shown holds these subjects, with no help from here.
  sees(...subjects) {
    return acts.until(() => {
      const rows = acts.rows();
      return subjects.every(subject => rows.some(row => row.subject == subject)) && rows;
    });
  },

  // --- writing -----------------------------------------------------------------------------------------------------

  async compose(from, to, subject, text) {
    const before = new Set(Services.wm.getEnumerator("msgcompose"));
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    const parameters = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    parameters.composeFields = fields;
    parameters.identity = acts.account(from).defaultIdentity;
    parameters.type = Ci.nsIMsgCompType.New;
    MailServices.compose.OpenComposeWindowWithParams(null, parameters);
    const win = await acts.until(() => {
      const found = [...Services.wm.getEnumerator("msgcompose")].find(one => !before.has(one));
      return found?.gLoadingComplete && found.gMsgCompose?.editor && found;
    });
    win.document.getElementById("toAddrInput").focus();
    win.addressRowAddRecipientsArray(win.document.getElementById("addressRowTo"), [to]);
    acts.type(win.document.getElementById("msgSubject"), subject);
    win.GetCurrentEditor().insertText(text);
    return win;
  },

  async send(from, to, subject, text) {
    const win = await acts.compose(from, to, subject, text);
    const button = await acts.until(() => {
      const found = win.document.getElementById("button-send");
      return !found.disabled && found;
    });
    button.click();
    await acts.until(() => win.closed);
  },

  // Write a letter, keep it as a draft, and close the window.
  async draft(from, to, subject, text) {
    const win = await acts.compose(from, to, subject, text);
    win.goDoCommand("cmd_saveAsDraft");
    await acts.until(() => !win.gContentChanged && !win.gWindowLocked && !win.gSaveOperationInProgress);
    win.close();
    await acts.until(() => win.closed);
  },

  // --- one message -------------------------------------------------------------------------------------------------

  // Click on the message with this subject in the folder that is shown; rows move while others come and go.
  choose(subject) {
    const { messageBrowser, threadTree } = acts.panes;
    const message = messageBrowser.contentWindow;
    return acts.until(() => {
      const row = acts.rows().findIndex(one => one.subject == subject);
      if (row >= 0 && threadTree.selectedIndex != row) {
        threadTree.selectedIndex = row;
      }
      return row >= 0 && message.gMessage?.mime2DecodedSubject == subject && message.msgLoaded && message;
    });
  },

  // Read it: what is on the page, what is attached, what is said of its signature.
  async read(subject, ...attached) {
    const message = await acts.choose(subject);
    await acts.until(() => attached.every(name => message.currentAttachments.some(one => one.name == name)));
    const page = message.getMessagePaneBrowser().contentDocument;
    const signature = message.document.getElementById("signedHdrIcon");
    if (attached.length) {
      await acts.until(() => !signature.hidden && signature.alt);
    }
    return {
      text: page.body.textContent,
      attached: message.currentAttachments.map(one => [one.name, one.contentType]),
      signature: signature.hidden ? "" : signature.alt,
    };
  },

  // The tags that a message shows.
  async tags(subject) {
    const message = await acts.choose(subject);
    const labels = message.document.getElementById("expandedtagsBox");
    await acts.until(() => labels.querySelector(".tag"));
    return [...labels.querySelectorAll(".tag")].map(one => one.textContent);
  },

  // A command of the menu on the chosen message.
  async command(subject, name, ...where) {
    await acts.choose(subject);
    const folder = where.length ? [await acts.folder(...where)] : [];
    const controller = acts.panes.commandController;
    await acts.until(() => controller.isCommandEnabled(name, ...folder));
    await controller.doCommand(name, ...folder);
  },

  // Moves and deletions are done here first, and on the server a moment later. Thunderbird loses one that comes while
  // another is on its way there: wait until none is.
  async settle(address, path) {
    const folder = await acts.folder(address, path);
    return acts.until(() => !folder.getFlag(Ci.nsMsgFolderFlags.OfflineEvents));
  },

  // --- folders of one's own ----------------------------------------------------------------------------------------

  async createFolder(address, parent, name) {
    const root = acts.account(address).incomingServer.rootFolder;
    (parent ? await acts.folder(address, parent) : root).createSubfolder(name, window.msgWindow);
    await acts.folder(address, parent ? `${parent}/${name}` : name);
  },

  async renameFolder(address, path, name) {
    (await acts.folder(address, path)).rename(name, window.msgWindow);
    await acts.folder(address, name);
  },

  // --- searching ---------------------------------------------------------------------------------------------------

  // Subjects that the server finds, as "Search messages" with "Run search on server" asks it.
  async search(address, path, attribute, text) {
    const folder = await acts.folder(address, path);
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder);
    const term = session.createTerm();
    const value = term.value;
    term.attrib = value.attrib = Ci.nsMsgSearchAttrib[attribute];
    term.op = Ci.nsMsgSearchOp.Contains;
    value.str = text;
    term.value = value;
    session.appendTerm(term);
    return new Promise(resolve => {
      const found = [];
      session.registerListener(
        {
          onSearchHit: header => found.push(header.mime2DecodedSubject),
          onSearchDone: () => resolve(found.sort()),
          onNewSearch() {},
        },
        Ci.nsIMsgSearchSession.allNotifications
      );
      session.search(null);
    });
  },

  // --- an account without the assistant ----------------------------------------------------------------------------

  async addAccount(address, password, port) {
    const incoming = MailServices.accounts.createIncomingServer(address, "localhost", "imap");
    incoming.port = port;
    incoming.socketType = Ci.nsMsgSocketType.SSL;
    incoming.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
    incoming.password = password;
    const identity = MailServices.accounts.createIdentity();
    identity.email = address;
    const account = MailServices.accounts.createAccount();
    account.incomingServer = incoming;
    account.addIdentity(identity);
    incoming.getNewMessages(incoming.rootFolder, window.msgWindow, null);
    await acts.folder(address, "INBOX");
  },
};
