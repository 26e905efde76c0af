// Starts the client: joins its parts and hands them to the page.

import { createRoot } from 'react-dom/client';
import type { Conversation, Message } from './model';
import { Http } from './net/http';
import { carried, shelf } from './net/shelf';
import { socketIo } from './net/transport';
import { PreferenceStore } from './preferences';
import { mentions } from './state/mentions';
import { createStore } from './state/store';
import './styles/tokens.css';
import './styles/base.css';
import './styles/signin.css';
import './styles/chat.css';
import './styles/log.css';
import './styles/composer.css';
import './styles/dialog.css';
import { TEXTS } from './texts';
import { Ting } from './ting';
import { App } from './ui/App';
import { Around, nameOf } from './ui/context';
import { Route } from './ui/route';

const shared = shelf(() => localStorage);
const preferences = new PreferenceStore(shared, navigator.languages);
const store = createStore();
const ting = new Ting({
  http: new Http(),
  transport: socketIo(),
  store,
  shared,
  own: carried(shelf(() => sessionStorage), window),
  live: () => preferences.get().live,
  arrived: notify,
});
const route = new Route((conversation) => ting.open(conversation));

preferences.subscribe(() => ting.setLive(preferences.get().live));
addEventListener('storage', () => preferences.reload());
addEventListener('online', () => ting.hurry());

const attend = () => ting.attend(document.visibilityState === 'visible' && document.hasFocus());
for (const name of ['focus', 'blur', 'pageshow']) addEventListener(name, attend);
document.addEventListener('visibilitychange', attend);
attend();

/** Privates and mentions call while nobody looks at the window. */
function notify(conversation: Conversation, messages: readonly Message[]): void {
  const { session, attentive } = store.get();
  const { notify: wanted, language } = preferences.get();
  if (!wanted || attentive || session.phase !== 'in' || Notification.permission !== 'granted') return;
  for (const { username, text } of messages) {
    if (conversation.type === 'channel' && !mentions(text, session.username)) continue;
    const place = conversation.type === 'channel' ? nameOf(conversation) : '';
    const notification = new Notification(TEXTS[language].notifyTitle(username, place), {
      body: text,
      tag: nameOf(conversation),
      icon: '/ting.svg',
    });
    notification.onclick = () => {
      window.focus();
      route.go(conversation);
    };
  }
}

createRoot(document.getElementById('ting')!).render(
  <Around value={{ ting, preferences, route }}>
    <App />
  </Around>,
);
route.start();
void ting.start();
