import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Slates } from './slates.jsx';

createRoot(document.querySelector('#app')).render(
  <StrictMode>
    <Slates />
  </StrictMode>,
);
